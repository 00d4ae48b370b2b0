package outbox

import "time"

// A Message is what becomes one message on a RocketMQ topic. Topic and Payload are required, the rest is optional; the
// limits are those of limit.go.
type Message struct {
	// Topic is the topic's name: 1 to 127 bytes of letters, digits, '_', '-', '%' and '|', none of RocketMQ's own. The relay
	// publishes to the topics it is configured with; rows for others wait.
	Topic string
	// Tag is what consumers filter by; at most one, without '|'.
	Tag string
	// Keys are business keys that the message can be looked up by (mqadmin queryMsgByKey), none with a space in it. The
	// deduplication key is always one of the message's keys and need not be repeated.
	Keys []string
	// OrderingKey puts the message in order with all others of the same topic and key; at most 64 bytes. A message that cannot
	// be published holds up its key.
	OrderingKey string
	// DedupKey is what consumers recognise a repeated message by; without spaces. The default, "<origin>-<row id>", is
	// different for every row: set it if the application may write the same event twice. Nothing here or in RocketMQ drops
	// repeated messages, consumers do.
	DedupKey string
	// Headers become user properties of the message. Names must not be RocketMQ's own or start with "outbox-"; neither names
	// nor values may be empty or hold control characters. Unless it has a "traceparent" or "tracestate", the W3C trace context
	// of the caller's ctx is added.
	Headers map[string]string
	// Payload is the body, carried byte for byte: 1 byte to 4 MiB (4,194,304 bytes). RocketMQ advises to stay below 512 KiB.
	Payload []byte
	// AvailableAt is when the relay may publish the message at the earliest, in microseconds; zero means at once. It works on
	// every type of topic but not together with OrderingKey, whose order it would break.
	AvailableAt time.Time
	// DeliverAt is when RocketMQ delivers the message, in milliseconds; only for topics of type delay: on others the relay
	// makes a dead letter of the message. Not together with OrderingKey.
	DeliverAt time.Time
}
