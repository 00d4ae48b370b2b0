package relay

import (
	"context"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// An AlertKind is something that a person must look at. An alert is one log line and this gauge.
type AlertKind string

// The alerts.
const (
	AlertBrokenPromise AlertKind = "broken_promise" // a message may be on its topic twice
	AlertInDoubt       AlertKind = "in_doubt"       // a message is in doubt for ten minutes: what became of it cannot be proven
	AlertPaused        AlertKind = "topic_paused"   // a broker stores halves of a topic unsafely, or not at all
	AlertUnbound       AlertKind = "unbound_rows"   // rows wait for topics that no relay has bound
	AlertDead          AlertKind = "dead_rows"      // the dead letters are not empty
	AlertForeign       AlertKind = "foreign_halves" // another outbox or program shares the producer group
	AlertClock         AlertKind = "clock"          // a broker's clock differs by more than the window, or cannot be read
)

// Alerts lists every kind.
func Alerts() []AlertKind {
	return []AlertKind{AlertBrokenPromise, AlertInDoubt, AlertPaused, AlertUnbound, AlertDead, AlertForeign, AlertClock}
}

// gauges are the instruments that show what is. They report what they were told last, and nothing before they were told
// anything: no number is better than a wrong 0.
type gauges struct {
	mu       sync.Mutex
	backlog  *Backlog
	doubts   []int64 // by age, see DoubtAges; nil = not told
	brokers  map[string]bool
	paused   map[pausedTopic]Reason // "" = resumed
	alerts   map[AlertKind]bool
	offsets  map[string]time.Duration // by broker
	leaseAge func() time.Duration
	shards   func() int
	rows     metric.Int64ObservableGauge
	oldest   metric.Float64ObservableGauge
	putOffs  metric.Int64ObservableGauge
	unbound  metric.Int64ObservableGauge
	deads    metric.Int64ObservableGauge
	open     metric.Int64ObservableGauge
	openAge  metric.Float64ObservableGauge
	inDoubt  metric.Int64ObservableGauge
	up       metric.Int64ObservableGauge
	pauses   metric.Int64ObservableGauge
	alert    metric.Int64ObservableGauge
	lease    metric.Float64ObservableGauge
	owned    metric.Int64ObservableGauge
	offset   metric.Float64ObservableGauge
}

type pausedTopic struct{ broker, topic string }

// DoubtAges are the upper ends of the classes of age by which messages in doubt are counted, and the names of the classes.
func DoubtAges() ([]time.Duration, []string) {
	return []time.Duration{10 * time.Second, time.Minute, 10 * time.Minute}, []string{"under_10s", "under_1m", "under_10m", "older"}
}

func (g *gauges) create(b *instruments) {
	g.brokers, g.paused, g.alerts = map[string]bool{}, map[pausedTopic]Reason{}, map[AlertKind]bool{}
	g.offsets = map[string]time.Duration{}
	g.rows = b.gauge("outbox_relay.backlog.rows", "{row}", "Pending rows of the whole outbox, counted up to a limit.")
	g.oldest = b.ageGauge("outbox_relay.backlog.oldest_age", "Age of the oldest pending row; 0 if there is none.")
	g.putOffs = b.gauge("outbox_relay.backlog.put_off.rows", "{row}", "Pending rows that are delayed or back off.")
	g.unbound = b.gauge("outbox_relay.backlog.unbound.rows", "{row}", "Pending rows for topics that the relay has not bound.")
	g.deads = b.gauge("outbox_relay.dead.rows", "{row}", "Rows in the dead letters.")
	g.open = b.gauge("outbox_relay.ledger.open.entries", "{message}", "Messages of the ledger whose outcome is not written yet.")
	g.openAge = b.ageGauge("outbox_relay.ledger.open.oldest_age", "Age of the oldest attempt with such a message; 0 if there is none.")
	g.inDoubt = b.gauge("outbox_relay.in_doubt.messages", "{message}", "Messages that the resolver looks for, by how long.")
	g.up = b.gauge("outbox_relay.broker.up", "{broker}", "1 if the broker answers, 0 while its circuit is open.")
	g.pauses = b.gauge("outbox_relay.topic.paused", "{topic}", "1 while a topic is paused on a broker, 0 when it has resumed; topic * is the whole broker, "+
		"broker * is all of them: the topic has no queue that may be written.")
	g.alert = b.gauge("outbox_relay.alert", "{alert}", "1 while a person must look at it, by kind.")
	g.lease = b.ageGauge("outbox_relay.lease.age", "Time since the session's lease was last renewed; 0 while there is no session.")
	g.owned = b.gauge("outbox_relay.shards", "{shard}", "Shards that this relay owns, of 64.")
	g.offset = b.ageGauge("outbox_relay.clock.offset",
		"By how much a broker's clock is ahead of this machine's, as last read; born times make up for it.")
	b.observe(g.observe, g.rows, g.oldest, g.putOffs, g.unbound, g.deads, g.open, g.openAge, g.inDoubt, g.up, g.pauses, g.alert,
		g.lease, g.owned, g.offset)
}

// Backlog tells what the outbox looks like.
func (g *gauges) Backlog(b Backlog) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.backlog = &b
	g.alerts[AlertUnbound] = b.Unbound > 0
	g.alerts[AlertDead] = b.Dead > 0
}

// InDoubt tells for how long each message that is in doubt has been.
func (g *gauges) InDoubt(ages []time.Duration) {
	bounds, names := DoubtAges()
	counts := make([]int64, len(names))
	for _, age := range ages {
		class := 0
		for class < len(bounds) && age >= bounds[class] {
			class++
		}
		counts[class]++
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.doubts = counts
	g.alerts[AlertInDoubt] = counts[len(counts)-1] > 0
}

// Broker tells whether a broker answers.
func (g *gauges) Broker(broker string, up bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.brokers[broker] = up
}

// ClockOffset tells by how much a broker's clock is ahead of this machine's.
func (g *gauges) ClockOffset(broker string, ahead time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.offsets[broker] = ahead
}

// Paused tells that a topic is paused on a broker, or has resumed; topic "" is the whole broker. A busy broker is no alert.
func (g *gauges) Paused(broker, topic string, reason Reason, paused bool) {
	if topic == "" {
		topic = "*"
	}
	if !paused {
		reason = ""
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.paused[pausedTopic{broker, topic}] = reason
	g.alerts[AlertPaused] = false
	for _, r := range g.paused {
		if r != "" && r != ReasonBusy && r != ReasonFlowControl {
			g.alerts[AlertPaused] = true
		}
	}
}

// Alert raises or ends an alert. Those of the backlog, of pauses, of doubt and of broken promises follow from what is told
// about them.
func (g *gauges) Alert(kind AlertKind, raised bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.alerts[kind] = raised
}

func (g *gauges) alerting(kind AlertKind) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.alerts[kind]
}

// Watch makes the gauges of the lease ask r each time metrics are collected.
func (g *gauges) Watch(leaseAge func() time.Duration, shards func() int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.leaseAge, g.shards = leaseAge, shards
}

func (g *gauges) observe(_ context.Context, o metric.Observer) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.observeOutbox(o)
	for broker, up := range g.brokers {
		o.ObserveInt64(g.up, oneIf(up), label("broker", broker))
	}
	for broker, ahead := range g.offsets {
		o.ObserveFloat64(g.offset, ahead.Seconds(), label("broker", broker))
	}
	for p, reason := range g.paused {
		o.ObserveInt64(g.pauses, oneIf(reason != ""), label("broker", p.broker), label("topic", p.topic))
	}
	for _, kind := range Alerts() {
		o.ObserveInt64(g.alert, oneIf(g.alerts[kind]), label("kind", string(kind)))
	}
	if g.leaseAge != nil {
		o.ObserveFloat64(g.lease, g.leaseAge().Seconds())
		o.ObserveInt64(g.owned, int64(g.shards()))
	}
	return nil
}

func (g *gauges) observeOutbox(o metric.Observer) {
	if b := g.backlog; b != nil {
		o.ObserveInt64(g.rows, b.Rows)
		o.ObserveFloat64(g.oldest, b.Oldest.Seconds())
		o.ObserveInt64(g.putOffs, b.PutOff)
		o.ObserveInt64(g.unbound, b.Unbound)
		o.ObserveInt64(g.deads, b.Dead)
		o.ObserveInt64(g.open, b.OpenCount)
		o.ObserveFloat64(g.openAge, b.OpenAge.Seconds())
	}
	_, names := DoubtAges()
	for i, n := range g.doubts {
		o.ObserveInt64(g.inDoubt, n, label("age", names[i]))
	}
}

func label(key, value string) metric.MeasurementOption {
	return metric.WithAttributes(attribute.String(key, value))
}

func oneIf(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
