// Package bench measures the relay beside what the broker can take at all, and proves that the work it timed was done.
//
// A run is a number of rounds, each of every case in turn, so that a noisy minute hits them all alike. Every case has a schema
// and topics of its own, which are removed after it. The relay is the real program in a process of its own. A case ends with
// an audit of its topics: each row once, each key in order, or the run fails. No time is asserted.
//
//	config.go     what the caller chooses; the servers it brings
//	case.go       the closed registry of cases
//	drain.go      a backlog; scale.go with several relays and brokers
//	pump.go       the ceiling: bare half messages and commits, bare batches
//	steady.go     latency under a steady load
//	pay.go        what the application's transaction pays
//	idle.go, start.go, recovery.go
//	run.go        warm-up, rounds, budget; state.go a long run that can be resumed
//	measure.go    what is measured, and its unit; summary.go median, minimum, maximum, ratios
//	report.go     the table; plot.go the picture
//
//	place.go      the schema and the topics of one case; fill.go its rows
//	relay.go      the relay as a process
//	topic.go      topics made, measured and deleted; reader.go what lies on them; audit.go the verdict
//	meter.go      processor time and memory; wal.go what PostgreSQL wrote
//
// The servers come from the caller: package local below starts them, the relay's command bench takes the user's own.
package bench
