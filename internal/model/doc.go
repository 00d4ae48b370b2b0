// Package model checks the protocol of the relay by going through every state that it can reach: one or two relays, the
// tables in PostgreSQL, the broker, and a fault at every step. What it must show is said in invariant.go: no message twice,
// no row lost, dead or visible but not both, the order of a key, and that from everywhere the end can be reached without
// another fault.
//
// It is a model, not the relay: the rules of the protocol are written down here once more, small enough to be read in one
// sitting. Each part is a file of transitions: the broker (broker.go), its check-backs (checker.go), what PostgreSQL does with
// a request (ledger.go), leases and shards (lease.go, handover.go), a row on its way through a relay (relay.go), the resolver
// (resolve.go), crashes and lost answers (crash.go). explore.go visits the states, trace.go tells a counter-example in words.
//
// A model that cannot fail proves nothing. Every rule in rule.go can be removed, and a test says what comes of it.
package model
