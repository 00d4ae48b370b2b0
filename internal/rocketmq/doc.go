// Package rocketmq is the relay's side of a RocketMQ cluster: the session that registers the producer group and answers
// check-backs, the routes of the prebound topics, half messages, their commits and rollbacks, and the reading back that
// decides what became of a commit whose answer was lost.
//
// A [Client] implements relay.Broker. Its parts, a file each:
//
//	session.go      what makes a producer known to brokers: group, heartbeat; and why it is not the official client's
//	session_check.go, checkback.go
//	                what brokers ask about half messages, and the answers
//	credentials.go  what requests are signed with
//	tls.go          how connections are encrypted
//	access.go       whether brokers let us do what we must do
//	access_denial.go
//	                what brokers say where they do not
//	explain.go      what to change where a connection fails for good
//	nameserver.go   asking the name servers
//	route.go        which queues a topic has, and where
//	bind.go         the check of every topic at start
//	half.go         storing half messages
//	commit.go       END_TRANSACTION: commit, rollback
//	readback.go     reading a queue to its end, with proof
//	lookup.go       asking the index
//	offset.go       where queues begin and end
//	topiccheck.go   whether a topic can be promised exactly-once delivery
//	brokerconfig.go what a broker is set to
//
// Package remoting below it is the wire protocol. Nothing here retries: what an answer means is decided by the relay.
package rocketmq
