package relay

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// wireCounters are about the connection to RocketMQ rather than about rows.
type wireCounters struct {
	producers metric.Int64Counter
	traces    metric.Int64Counter
	trace     map[bool][]metric.AddOption
}

func (c *wireCounters) createWire(b *instruments) {
	c.producers = b.counter("outbox_relay.producers.created", "{producer}",
		"Producers registered in the group; stays at the setting `producers`, whatever fails.")
	c.traces = b.counter("outbox_relay.message_traces", "{record}",
		"Records of RocketMQ's message trace, by outcome: written, or dropped because its topic did not take them in time.")
	c.trace = map[bool][]metric.AddOption{
		true:  labels(attribute.String("outcome", "written")),
		false: labels(attribute.String("outcome", "dropped")),
	}
	if b.err == nil {
		c.producers.Add(context.Background(), 0)
		for _, set := range c.trace {
			c.traces.Add(context.Background(), 0, set...)
		}
	}
}

// Producer counts one producer that was made.
func (m *Metrics) Producer(ctx context.Context) { m.producers.Add(ctx, 1) }

// MessageTraces counts records of the message trace that were written, or dropped.
func (m *Metrics) MessageTraces(ctx context.Context, written bool, records int) {
	m.traces.Add(ctx, int64(records), m.trace[written]...)
}
