package relay

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/outbox-relay/outbox-relay/txcheck"
)

// counters are the instruments that only grow, with their labels.
type counters struct {
	rowsRead, halves, commits, rowsSent, messagesSent, rowsPutOff, rowsDead metric.Int64Counter
	sends, rowsUnconfirmed, resolved, checkBacks, sessions, broken, doubled metric.Int64Counter
	large                                                                   metric.Int64Counter

	half, send, sendError, commit, putOff, dead map[Reason][]metric.AddOption
	unconfirmed                                 []metric.AddOption
	outcome                                     map[bool][]metric.AddOption
	answer                                      map[txcheck.Answer][]metric.AddOption
}

func (c *counters) create(b *instruments) {
	c.rowsRead = b.counter("outbox_relay.read.rows", "{row}", "Fresh rows read from the outbox.")
	c.halves = b.counter("outbox_relay.halves", "{message}", "Half messages, by result: stored, or the reason why not.")
	c.commits = b.counter("outbox_relay.commits", "{message}",
		"Commits, by result: confirmed by the broker, or the reason why not (refused, in doubt, or never sent).")
	c.sends = b.counter("outbox_relay.sends", "{message}",
		"Messages to topics that are not transactional, by result: stored, unconfirmed (mode oneway), or the reason why not.")
	c.rowsSent = b.counter("outbox_relay.rows.sent", "{row}", "Rows that are on their topic, confirmed and deleted from the outbox.")
	c.rowsUnconfirmed = b.counter("outbox_relay.rows.unconfirmed", "{row}",
		"Rows of topics with mode oneway that were passed to the network and deleted from the outbox: nobody knows whether they arrived.")
	c.messagesSent = b.counter("messaging.client.sent.messages", "{message}",
		"OpenTelemetry's convention: messages that are on their topic, and with error.type half messages that were not stored.")
	c.rowsPutOff = b.counter("outbox_relay.rows.put_off", "{row}", "Failures of rows that are tried again later, by reason.")
	c.rowsDead = b.counter("outbox_relay.rows.dead", "{row}", "Rows that went to the dead letters, by reason.")
	c.large = b.counter("outbox_relay.large_messages", "{message}", "Messages sent with a payload above the 512 KiB that RocketMQ advises, by topic.")
	c.resolved = b.counter("outbox_relay.resolved", "{message}",
		"Messages that were in doubt, by what the resolver proved: found on the topic, or absent and pending again.")
	c.checkBacks = b.counter("outbox_relay.check_backs", "{question}", "Questions of brokers about half messages, by answer.")
	c.sessions = b.counter("outbox_relay.sessions", "{session}", "Sessions opened; more than one per start means trouble with Postgres.")
	c.broken = b.counter("outbox_relay.broken_promises", "{message}",
		"Messages that may be on their topic twice: confirmed after they had been proven absent. Must stay 0.")

	c.doubled = b.counter("outbox_relay.duplicates", "{message}",
		"Messages of topics that are at least once that are on their topic twice: confirmed after they had been given up.")

	c.half = byReason("result", "stored")
	c.send = byReason("result", "stored")
	c.unconfirmed = labels(attribute.String("result", "unconfirmed"))
	c.commit = byReason("result", "confirmed")
	c.putOff = byReason("reason", "")
	c.dead = byReason("reason", "")
	c.sendError = byReason("error.type", "", systemLabel(), attribute.String("messaging.operation.name", "send"))
	c.outcome = map[bool][]metric.AddOption{
		true:  labels(attribute.String("outcome", "found")),
		false: labels(attribute.String("outcome", "absent")),
	}
	c.answer = map[txcheck.Answer][]metric.AddOption{}
	for _, a := range txcheck.Answers() {
		c.answer[a] = labels(attribute.String("answer", a.String()))
	}
}

// showZeros makes every series exist from the start: a rate over one that appears with its first event misses that event.
func (c *counters) showZeros() {
	ctx := context.Background()
	for counter, sets := range map[metric.Int64Counter]map[Reason][]metric.AddOption{
		c.halves: c.half, c.sends: c.send, c.commits: c.commit, c.rowsPutOff: c.putOff, c.rowsDead: c.dead,
	} {
		for _, set := range sets {
			counter.Add(ctx, 0, set...)
		}
	}
	for _, set := range c.outcome {
		c.resolved.Add(ctx, 0, set...)
	}
	for _, set := range c.answer {
		c.checkBacks.Add(ctx, 0, set...)
	}
	c.rowsRead.Add(ctx, 0)
	c.sessions.Add(ctx, 0)
	c.broken.Add(ctx, 0)
	c.doubled.Add(ctx, 0)
	c.sends.Add(ctx, 0, c.unconfirmed...)
}

// byReason makes the labels of every reason, and of none where good names it.
func byReason(key, good string, more ...attribute.KeyValue) map[Reason][]metric.AddOption {
	sets := map[Reason][]metric.AddOption{}
	if good != "" {
		sets[""] = labels(append(more, attribute.String(key, good))...)
	}
	for _, r := range Reasons() {
		sets[r] = labels(append(more, attribute.String(key, string(r)))...)
	}
	return sets
}

func labels(kvs ...attribute.KeyValue) []metric.AddOption {
	return []metric.AddOption{metric.WithAttributeSet(attribute.NewSet(kvs...))}
}

// systemLabel is what OpenTelemetry's conventions ask of every metric of a messaging client.
func systemLabel() attribute.KeyValue { return attribute.String("messaging.system", "rocketmq") }
