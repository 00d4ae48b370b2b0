// Package relay is the way of a row, from the outbox in PostgreSQL to its topic in RocketMQ. It owns the flow and the
// interfaces that it calls; packages postgres and rocketmq implement them.
//
// The stages are files, in the order in which a row passes them, and batch.run calls them one after the other:
//
//	stage1_read     a batch of committed rows is read; nothing is locked or written
//	stage2_build    messages are built, and it is noted where they will lie
//	stage2_half     half messages are stored by the broker, invisible
//	stage2_sort     what each answer to a half means for its row
//	stage3_decide   the attempt goes into the ledger, while the session's lease stands
//	stage4_commit   each half is committed once, and the broker's answer awaited
//	stage4_send     on topics that are not TRANSACTION there are no halves: the decision is an intent, and here the messages go
//	stage5_settle   confirmed rows are deleted, the attempt closed
//	stage6_resolve  for the few whose answer was lost: wait until nothing can change any more, then read the topic
//
// Several batches are under way at once, each in a goroutine of its own. What they share: the intake (which rows and keys are
// under way or must wait), the lanes (rows of one key, committed one after the other), the ledger (which gathers the writes
// of all batches), the resolver, and the session that holds the lease.
//
// # The states of a row
//
//	            read          half stored         decided            0
//	pending ──────────► taken ───────────► stored ────────► open ─────────► settled (row deleted)
//	   ▲                  │                  │               │  │
//	   │  any failure     │  any failure     │    refused,   │  │ no certain answer
//	   └──────────────────┴──────────────────┘    never sent │  ▼
//	   ▲                                                     │ in doubt ── found on the topic ──► settled
//	   └───────────────── struck ◄───────────────────────────┴─────────── proven absent ──► struck
//
// Only pending, open, settled and struck are in PostgreSQL: a row that exists is pending, an entry of outbox_attempt is open,
// settled or struck, and changes once. The rest is memory, and gone with the process.
//
// # Failure handling
//
// There is one way to recover, and every doubt takes it. Whatever goes wrong with PostgreSQL ends the session (session.go);
// the next one declares the old one dead and loads what it left open, like any relay after a crash. docs/architecture.md
// lists every crash with what it leaves behind.
package relay
