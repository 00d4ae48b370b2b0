// Package fakemq is a scripted RocketMQ peer for tests. It answers on the loopback what a test says, request code by request
// code, which a real broker cannot be made to: busy, flow control, no answer at all, half an answer, garbage.
//
// What a real broker can be made to do is tested on a real broker. A [Server] is one peer; [Server.ServeTopics] makes it name
// server and broker in one.
package fakemq
