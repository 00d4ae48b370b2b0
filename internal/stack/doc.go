// Package stack starts the servers that the demo, the tests and the benchmarks
// need: PostgreSQL and RocketMQ.
//
// Where a Docker engine answers and the images can be had they run in
// containers (container.go). Everywhere else they run natively: PostgreSQL from
// installed binaries or from the published binary artifact, RocketMQ from its
// published jars through Maven. Either way a server has its own folder and its
// own ports, listens on 127.0.0.1 only, can be killed, paused and started again
// on the same data and the same port, and does not outlive the program that
// started it, not even when that is killed by SIGKILL.
//
// Variables choose for those who cannot pass options:
//
//	OUTBOX_STACK                   auto (default), docker or native
//	OUTBOX_TEST_PG_BIN             a folder with initdb and postgres
//	OUTBOX_TEST_PG_VERSION         a published PostgreSQL, such as 14.24.0
//	OUTBOX_TEST_ROCKETMQ_VERSION   a published RocketMQ, such as 5.1.4
//
// The files:
//
//	options.go      what the caller chooses
//	servers.go      all three at once, and how other processes find them
//	server.go       what the three have in common: start, stop, kill, pause
//	postgres.go, nameserver.go, broker.go
//	standby.go      a replica of PostgreSQL that its primary waits for
//	secure.go       TLS, and brokers with users and rights; certificate.go: what TLS needs
//	fakeclock.go    a broker whose clock is wrong
//	topic.go        a topic with its message.type, in milliseconds
//	readtopic.go    what lies on a topic
//	admin.go        mqadmin
//	engine.go       containers or processes
//	native.go
//	                a child that ends with its parent (package child)
//	container.go, images.go
//	                the same in containers
//	workdir.go, port.go, cache.go, maven.go
//
// Nothing here is for production.
package stack
