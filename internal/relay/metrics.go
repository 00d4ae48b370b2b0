package relay

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/outbox-relay/outbox-relay/txcheck"
)

// Metrics is what the relay counts and measures; docs/metrics.md lists it as Prometheus shows it. All methods may be called
// concurrently. The sets of labels are closed and made in advance, so that counting a message allocates nothing.
type Metrics struct {
	counters
	wireCounters
	durations
	gauges

	topicsMu sync.RWMutex
	topics   map[string]*topicLabels
}

// NewMetrics makes the instruments. It fails only if meter refuses one.
func NewMetrics(meter metric.Meter) (*Metrics, error) {
	b := &instruments{meter: meter}
	m := &Metrics{topics: map[string]*topicLabels{}}
	m.counters.create(b)
	m.createWire(b)
	m.durations.create(b)
	m.gauges.create(b)
	if b.err != nil {
		return nil, fmt.Errorf("create the relay's metrics: %w", b.err)
	}
	m.showZeros()
	return m, nil
}

// Read counts one read of fresh rows and how long it took.
func (m *Metrics) Read(ctx context.Context, rows int, took time.Duration) {
	m.reads.Record(ctx, took.Seconds())
	if rows > 0 {
		m.rowsRead.Add(ctx, int64(rows))
	}
}

// A tally counts what became of the messages of a batch: adding to a counter for each would be a twentieth of the relay's time.
type tally map[Reason]int64

// Halves counts half messages; reason "" means that they were stored.
func (m *Metrics) Halves(ctx context.Context, t tally) {
	for reason, n := range t {
		m.halves.Add(ctx, n, m.half[reason]...)
		if reason != "" {
			m.messagesSent.Add(ctx, n, m.sendError[reason]...)
		}
	}
}

// HalfDuration measures the sending of the halves of one batch, up to the last answer.
func (m *Metrics) HalfDuration(ctx context.Context, took time.Duration) {
	m.halfTime.Record(ctx, took.Seconds())
	m.operations.Record(ctx, took.Seconds(), m.operationSend...)
}

// Send counts one message that was sent plainly; reason "" means that it was stored, or with way oneway that it has left.
func (m *Metrics) Send(ctx context.Context, way Way, reason Reason) {
	if way == WayOneway && reason == "" {
		m.sends.Add(ctx, 1, m.unconfirmed...)
		return
	}
	m.sends.Add(ctx, 1, m.send[reason]...)
	if reason != "" {
		m.messagesSent.Add(ctx, 1, m.sendError[reason]...)
	}
}

// SendDuration measures the sending of the messages of one batch, up to the last answer.
func (m *Metrics) SendDuration(ctx context.Context, took time.Duration) {
	m.sendTime.Record(ctx, took.Seconds())
	m.operations.Record(ctx, took.Seconds(), m.operationSend...)
}

// Decide measures the writing of one attempt to the ledger, and counts its messages.
func (m *Metrics) Decide(ctx context.Context, messages int, took time.Duration) {
	m.decides.Record(ctx, took.Seconds())
	m.batchSize.Record(ctx, int64(messages))
}

// Commits counts commits; reason "" means that the broker confirmed them in time.
func (m *Metrics) Commits(ctx context.Context, t tally) {
	for reason, n := range t {
		m.commits.Add(ctx, n, m.commit[reason]...)
	}
}

// CommitDuration measures the commits of one batch, up to the last answer.
func (m *Metrics) CommitDuration(ctx context.Context, took time.Duration) {
	m.commitTime.Record(ctx, took.Seconds())
	m.operations.Record(ctx, took.Seconds(), m.operationCommit...)
}

// Settle measures the deletion of the confirmed rows of one batch.
func (m *Metrics) Settle(ctx context.Context, _ int, took time.Duration) {
	m.settles.Record(ctx, took.Seconds())
}

// Sent counts n rows that are on their topic.
func (m *Metrics) Sent(ctx context.Context, topic string, n int64) {
	l := m.labelsOf(topic)
	m.rowsSent.Add(ctx, n, l.own...)
	m.messagesSent.Add(ctx, n, l.convention...)
}

// Latency measures the time from a row's insert until it was known to be on its topic.
func (m *Metrics) Latency(ctx context.Context, took time.Duration) {
	m.latency.Record(ctx, took.Seconds())
}

// Unconfirmed counts one row that has left for its topic, and nobody says whether it has arrived.
func (m *Metrics) Unconfirmed(ctx context.Context, topic string) {
	m.rowsUnconfirmed.Add(ctx, 1, m.labelsOf(topic).own...)
}

// Large counts one message with a payload larger than is advised.
func (m *Metrics) Large(topic string) {
	m.large.Add(context.Background(), 1, m.labelsOf(topic).own...)
}

// PutOff counts one row that failed and is tried again later.
func (m *Metrics) PutOff(ctx context.Context, reason Reason) {
	m.rowsPutOff.Add(ctx, 1, m.putOff[reason]...)
}

// Dead counts one row that went to the dead letters.
func (m *Metrics) Dead(ctx context.Context, reason Reason) { m.rowsDead.Add(ctx, 1, m.dead[reason]...) }

// Resolved counts one message that was in doubt and is no more: it was found on its topic, or proven absent.
func (m *Metrics) Resolved(ctx context.Context, found bool) {
	m.resolved.Add(ctx, 1, m.outcome[found]...)
}

// CheckBack counts one question of a broker about a half message, by the answer.
func (m *Metrics) CheckBack(ctx context.Context, a txcheck.Answer) {
	m.checkBacks.Add(ctx, 1, m.answer[a]...)
}

// Session counts one session that was opened.
func (m *Metrics) Session(ctx context.Context) { m.sessions.Add(ctx, 1) }

// Doubled counts messages of topics that are at least once that were confirmed after they had been given up.
func (m *Metrics) Doubled(ctx context.Context, messages int) { m.doubled.Add(ctx, int64(messages)) }

// Broken counts messages that may be on their topic twice, and raises the alert for as long as the process lives.
func (m *Metrics) Broken(ctx context.Context, messages int) {
	m.broken.Add(ctx, int64(messages))
	m.Alert(AlertBrokenPromise, messages > 0 || m.alerting(AlertBrokenPromise))
}

// topicLabels are the labels of one topic. Topics are a closed set: those that are bound.
type topicLabels struct{ own, convention []metric.AddOption }

func (m *Metrics) labelsOf(topic string) *topicLabels {
	m.topicsMu.RLock()
	l := m.topics[topic]
	m.topicsMu.RUnlock()
	if l != nil {
		return l
	}
	m.topicsMu.Lock()
	defer m.topicsMu.Unlock()
	m.topics[topic] = &topicLabels{
		own: labels(attribute.String("topic", topic)),
		convention: labels(systemLabel(), attribute.String("messaging.operation.name", "send"),
			attribute.String("messaging.destination.name", topic)),
	}
	return m.topics[topic]
}
