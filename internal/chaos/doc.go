// Package chaos breaks everything that the relay depends on, while it works, and counts what arrives.
//
// A run starts a real PostgreSQL and a real RocketMQ that syncs to disk, one to three real relays as processes, and a writer
// that commits, rolls back and holds transactions open. Then it injects faults, one after the other, and waits after each
// until the relays have caught up. At the end the topic itself is read, every queue from the first offset to the last, and
// compared with the writer's books, which are written in the same transactions.
//
// The seed fixes the plan: the order of the faults, how many relays run, and every duration and parameter. What it cannot fix
// is what the machine does meanwhile.
//
//	kind.go       the closed registry of fault kinds
//	fault_*.go    the kinds, a file for each family
//	plan.go       from a seed to the steps of a run
//	world.go      servers, database, topic
//	fleet.go      the relays, relay.go one of them
//	writer.go     the application; book.go what it remembers
//	recovery.go   when a fault is over
//	audit.go      the verdict: pure, so that it can be shown to see each kind of violation
//	run.go        puts it together; report.go the table; state.go a long run that can be resumed
//
// It shares no code with the relay. docs/chaos.md tells how to use it.
package chaos
