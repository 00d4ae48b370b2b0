// Package simtest runs the relay's own code, whole, against a store and a broker in memory, in virtual time. Windows, leases,
// margins and backoffs take none, so that hundreds of lives full of faults fit into seconds. It has no code of its own, only
// tests.
//
// One run is one seed. The seed draws the lives (how many relays, under which names, killed, frozen or stopped when), the
// application's transactions, and how often the store and the broker fail. An audit watches every message that becomes
// visible, every entry that is settled or struck, and every row that dies; at the end the faults stop, and within bounded
// virtual time every committed row must be on its topic exactly once.
//
// A seed fixes the plan, not the interleaving: the goroutines' order and the ids are drawn anew in every run. So a failure
// prints its trace, and SIM_SEED=n go test -count=50 finds it again.
//
// What the store and the broker do is taken from packages postgres and rocketmq, where it is tested on real servers. The
// store's transactions are atomic here: what locks and snapshots must do inside one statement is tested there and not here.
//
// A simulation that cannot fail proves nothing. So mutant_test.go breaks one rule of the store or the broker at a time and
// expects that the audit sees what comes of it.
package simtest
