// Package txcheck decides what to answer when a RocketMQ broker asks about a half message: for the relay ([Checker]), and for
// applications that send half messages themselves ([Markers]).
//
// A broker that has stored a half message and has heard neither commit nor rollback of it asks a producer of the same
// group what became of it: a check-back. The relay answers from what the half itself carries, without a database:
//
//	the half is of another outbox, or of none    Unknown   and a warning, once for each origin
//	ours, and its window for a commit is over    Rollback
//	ours, and younger                            Unknown
//
// # Why never Commit
//
// A broker appends one more copy to the topic for every commit that it accepts, and asks about half messages that were
// committed: what it remembers of a commit lives in its heap for three to six seconds before it is written, is lost in a
// crash, and is thrown away when a check came between half and commit (RocketMQ 5.3, TransactionalMessageServiceImpl). So a
// Commit as an answer makes duplicates however sure the checker is that the message belongs on the topic. The relay commits
// each half itself, once, with a request that is acknowledged, and settles what stays in doubt by reading the topic. Its
// checker only cleans up.
//
// # Why Rollback is safe
//
// A rollback removes nothing from a topic: it makes the broker stop asking. A half that was committed stays on its topic,
// and one that was not is sent again under a new id. A clock that is wrong costs at most a few more questions.
//
// # For applications that send half messages themselves
//
// A service that has RocketMQ's transactional producer in its code, and no outbox, leaves a marker in its own transaction:
//
//	id := markers.NewID()                                  // a new one for every half message, in property MarkerProperty
//	…                                                      // the half message is stored
//	answer, err := markers.Run(ctx, db, id, func(tx pgx.Tx) error {
//		…                                              // the business change
//	})                                                     // BEGIN, the marker, the function, COMMIT
//
// and answers check-backs with [Markers.Check]:
//
//	the marker is there                          Commit
//	a tombstone is there                         Rollback
//	neither, and the half is younger than Grace  Unknown
//	neither, and it is older                     a tombstone is inserted; when that is on disk: Rollback
//	the marker's transaction is still running    the INSERT waits for it, and gives up: Unknown
//	no id of ours, of another database, too old,
//	a standby, no answer from PostgreSQL         Unknown, with an error
//
// Package listener, below this one, puts that into rocketmq-client-go.
//
// # Why a transaction cannot commit after Rollback was answered
//
// Marker and tombstone are rows with the same primary key, so of the two one can be. The transaction inserts the marker, and
// PostgreSQL refuses it (23505) if the tombstone is there, at any isolation level and whatever its snapshot is; then it can only
// roll back. A transaction that has inserted and not ended, one that is prepared included, holds the tombstone up instead. So the
// marker is the first statement, outside every savepoint: a slow transaction is waited for from then on, and one that has not
// come so far is stopped there.
//
// Rollback is answered only after the COMMIT of the tombstone was, and Commit only after a commit that follows the marker's, both
// with synchronous_commit at least "on": a crash of PostgreSQL takes no answer back. Neither does a fail-over to a standby that
// has every commit; one that has not may lose the marker, as it loses the business change.
//
// A second transaction under one id cannot commit: not beside the first, not after Rollback. Run leaves a tombstone itself when
// it has rolled back.
//
// # When markers are removed
//
// An id begins with its time. Against the clock of the database, an id older than half the retention is neither accepted as a
// marker nor given a tombstone, and only ids older than the whole retention are purged: so a purged marker is never taken for one
// that was not there. A broker that asks later than that gets Unknown and gives up by itself, with the half in
// TRANS_CHECK_MAX_TIME_TOPIC. Half the retention (7 days by default) must therefore be longer than a broker can ask: it asks
// transactionCheckMax times (15), every transactionCheckInterval (30 s; 60 s before 5.1.4), but not while it is down; what is
// older than fileReservedTime (72 h) it skips.
//
// # What this cannot promise
//
// A committed transaction's message arrives at least once, and one that was rolled back never: no more. A broker that was told
// to commit may ask again, because it remembers that only in its heap for a while, and then Commit puts a second copy on the
// topic. Unknown would only put that off, as the half has been stored anew before the question is sent, and Rollback would lose
// the message if the first commit did not arrive. Consumers deduplicate by a business key. It is rare where the broker's
// transactionTimeOut is longer than the transactions take and transactionOpBatchInterval is short (500 ms). Exactly once is what
// the outbox is for: the relay has each commit acknowledged, and reads the topic where it was not.
//
// A transaction must end before the broker stops asking (7.5 minutes by default). Later it still commits, and its message goes
// out with the producer's own END_TRANSACTION; if that is lost, nobody asks any more.
package txcheck
