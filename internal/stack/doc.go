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
//	options.go      what the caller chooses
//	servers.go      all three at once, and how other processes find them
//	server.go       what the three have in common: start, stop, kill, pause
//	postgres.go, nameserver.go, broker.go
//	topic.go        a topic with its message.type, in milliseconds
//	admin.go        mqadmin
//	process.go      a child that ends with its parent
//	workdir.go, port.go, cache.go, maven.go
//
// Nothing here is for production.
package stack
