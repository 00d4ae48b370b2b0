package relay

import (
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// durations are the instruments that show how values spread.
type durations struct {
	reads, halfTime, sendTime, decides, commitTime, settles, latency, operations metric.Float64Histogram
	batchSize                                                                    metric.Int64Histogram

	operationSend, operationCommit []metric.RecordOption
}

func (d *durations) create(b *instruments) {
	d.reads = b.seconds("outbox_relay.read.duration", "One read of fresh rows.", fastBounds())
	d.halfTime = b.seconds("outbox_relay.half.duration", "The half messages of one batch, up to the last answer.", fastBounds())
	d.sendTime = b.seconds("outbox_relay.send.duration", "The messages of one batch without halves, up to the last answer.", fastBounds())
	d.decides = b.seconds("outbox_relay.decide.duration", "Writing one attempt to the ledger.", fastBounds())
	d.commitTime = b.seconds("outbox_relay.commit.duration", "The commits of one batch, up to the last answer.", fastBounds())
	d.settles = b.seconds("outbox_relay.settle.duration", "Deleting the confirmed rows of one batch.", fastBounds())
	d.latency = b.seconds("outbox_relay.row.latency",
		"From the start of the transaction that inserted a row until its deletion after the broker's confirmation.", slowBounds())
	d.operations = b.seconds("messaging.client.operation.duration",
		"OpenTelemetry's convention: one batch of half messages (send) or of commits (commit), up to the last answer.", fastBounds())
	d.batchSize = b.sizes("outbox_relay.batch.size", "{message}", "Messages of one attempt.",
		1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
	d.operationSend = operation("send")
	d.operationCommit = operation("commit")
}

// fastBounds are for what one round trip takes; the upper ones are OpenTelemetry's for messaging clients.
func fastBounds() []float64 {
	return []float64{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10}
}

// slowBounds are for what an outage makes long.
func slowBounds() []float64 {
	return []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200, 86400}
}

func operation(name string) []metric.RecordOption {
	return []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(
		systemLabel(), attribute.String("messaging.operation.name", name)))}
}

// instruments makes instruments and keeps the errors, so that the lists above stay lists.
type instruments struct {
	meter metric.Meter
	err   error
}

func (b *instruments) note(err error) { b.err = errors.Join(b.err, err) }

func (b *instruments) counter(name, unit, about string) metric.Int64Counter {
	c, err := b.meter.Int64Counter(name, metric.WithUnit(unit), metric.WithDescription(about))
	b.note(err)
	return c
}

func (b *instruments) seconds(name, about string, bounds []float64) metric.Float64Histogram {
	h, err := b.meter.Float64Histogram(name, metric.WithUnit("s"), metric.WithDescription(about),
		metric.WithExplicitBucketBoundaries(bounds...))
	b.note(err)
	return h
}

func (b *instruments) sizes(name, unit, about string, bounds ...float64) metric.Int64Histogram {
	h, err := b.meter.Int64Histogram(name, metric.WithUnit(unit), metric.WithDescription(about),
		metric.WithExplicitBucketBoundaries(bounds...))
	b.note(err)
	return h
}

func (b *instruments) gauge(name, unit, about string) metric.Int64ObservableGauge {
	g, err := b.meter.Int64ObservableGauge(name, metric.WithUnit(unit), metric.WithDescription(about))
	b.note(err)
	return g
}

func (b *instruments) ageGauge(name, about string) metric.Float64ObservableGauge {
	g, err := b.meter.Float64ObservableGauge(name, metric.WithUnit("s"), metric.WithDescription(about))
	b.note(err)
	return g
}

// observe registers what is called when metrics are collected.
func (b *instruments) observe(callback metric.Callback, observed ...metric.Observable) {
	_, err := b.meter.RegisterCallback(callback, observed...)
	b.note(err)
}
