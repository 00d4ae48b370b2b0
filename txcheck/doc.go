// Package txcheck decides what to answer when a RocketMQ broker asks about a half message.
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
package txcheck
