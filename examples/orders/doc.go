// Package orders is an example: a service that takes orders and tells the world about them through the outbox.
//
// Read place.go first. An order and the message about it are written in one transaction; if anything in it goes wrong, both
// are gone. The command demo beside it runs this service against a real PostgreSQL, a real RocketMQ and the real relay, kills
// the relay in the middle, and counts what arrives.
package orders
