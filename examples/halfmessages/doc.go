// Package halfmessages is an example: a service that sends RocketMQ's half messages itself and has no outbox, with the markers of
// package txcheck between its database and the broker's questions.
//
// Read shop.go. What it promises is less than the outbox does (at least once, see package txcheck): it is for services that use
// the transactional producer already. The command shop beside it places one order and waits for check-backs; its test kills it
// before the broker is told, and starts it again.
package halfmessages
