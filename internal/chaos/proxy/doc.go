// Package proxy puts a network between the relay and its servers that fails on
// demand: it loses requests and answers, delays them, cuts connections, leaves
// them half-open and refuses new ones.
//
// A [Proxy] understands just enough of the protocol to tell a commit from a half
// message, or a decision from a heartbeat, so that a fault can be aimed: "the
// answer to the next commit is lost, after the broker has acted on it". It shares
// no code with the relay: a mistake in the relay's codec must not hide here.
//
//	relay ──► 127.0.0.2:P  RocketMQ(…)  ──► 127.0.0.1:P  broker
//	relay ──► 127.0.0.1:Q  Postgres(…)  ──► 127.0.0.1:R  PostgreSQL, or who took over
//
// A broker must advertise the proxy: see stack.Options.BrokerIP. The proxy of
// PostgreSQL is for sslmode=disable; it refuses encryption as a server without
// certificates does.
//
// The files:
//
//	rule.go         what is to go wrong, and with what
//	judge.go        which rules a request or an answer meets; counting
//	proxy.go        a listener and its connections
//	link.go         one connection: two sockets, two directions
//	rocketmq.go, header.go
//	                frames of the remoting protocol, and their kinds
//	postgres.go, statement.go
//	                runs of messages up to a Sync, and their kinds
package proxy
