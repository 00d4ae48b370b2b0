// Package remoting speaks the RocketMQ remoting protocol over TCP: frames, requests, answers, connections. It knows the
// protocol and nothing of messages, topics or transactions.
//
// A [Pool] keeps one set of connections per address. Requests are appended to a [Batch], which goes out in one
// write and is answered request by request through a callback. What was not answered fails with an error that says whether
// the request can have reached the peer: see [Reply].
//
//	Batch ──Submit──► Pool ─► peer (one address: circuit breaker, 1–n connections) ─► conn (writer, reader, deadlines)
//
// # Failure handling
//
// A connection dials when it is first used and never reconnects: when it breaks, everything in flight on it fails and the
// peer opens a new one on the next use. A failed dial, or a request that timed out while nothing at all came from the peer,
// opens the peer's circuit: requests then fail at once, unsent, while one probe at a time finds out whether the peer is
// back. Peers share nothing, so a dead one delays nobody else.
package remoting
