package simtest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/outbox-relay/outbox-relay/internal/relay"
)

// world is one run of the simulation.
type world struct {
	t       testing.TB
	ctx     context.Context
	chance  *chance
	trace   *trace
	audit   *audit
	store   *memStore
	brokers []*memBroker
	set     bool           // clocks are, by minutes
	narrow  bool           // rows only for topics that are exact: most rules broken on purpose show there alone
	flying  sync.WaitGroup // requests that are under way, whoever waits for them
}

// mutant is what is broken on purpose in a run.
type mutant struct {
	store  storeRules
	broker brokerRules
}

// How long, in virtual time, a run may take after the faults have stopped, and a relay to stop.
const (
	settlePatience = 12 * time.Minute // a window ends by the broker's clock, which may have been set back
	stopPatience   = time.Minute
)

func newWorld(t testing.TB, seed uint64, m mutant) *world {
	w := &world{t: t, ctx: t.Context(), chance: newChance(seed), trace: newTrace()}
	w.chance.severity = []float64{0.3, 1, 1, 3}[w.chance.below(4)]
	w.audit = newAudit(w.trace)
	w.store = newMemStore(w.audit, w.trace, m.store)
	for i := range 1 + w.chance.below(2) {
		w.brokers = append(w.brokers, newMemBroker(w, fmt.Sprintf("broker-%d", i), m.broker))
	}
	w.narrow = m != (mutant{}) && !m.broker.losesSent
	w.set = w.chance.hit(0.3) || m.broker.clockSetBack
	return w
}

// fly runs what nobody can take back.
func (w *world) fly(f func()) { w.flying.Go(f) }

// run runs everything: faults and lives, then calm, then the end. It returns the first violation, "" if there is none.
func (w *world) run() string {
	until := time.Now().Add(w.chance.between(20*time.Second, 50*time.Second))
	application := newApplication(w)
	var doing sync.WaitGroup
	for i := range 2 + w.chance.below(2) {
		doing.Go(func() { application.run(fmt.Sprintf("writer-%d", i), until) })
	}
	doing.Go(func() { application.operate(until) })
	for _, b := range w.brokers {
		doing.Go(func() { w.outages(b, until) })
		doing.Go(func() { b.runClock(until) })
	}
	slots := w.slots()
	for _, s := range slots {
		doing.Go(func() { s.run(until) })
	}
	doing.Wait()
	w.trace.add("calm from now on")
	w.chance.calm.Store(true)
	last := w.survivors(slots)
	w.settle()
	time.Sleep(longestTravel) // whatever was under way before the calm is there
	w.finish(last)
	w.flying.Wait()
	return w.audit.violated()
}

// outages takes a broker down now and then.
func (w *world) outages(b *memBroker, until time.Time) {
	for time.Now().Before(until) {
		time.Sleep(w.chance.between(time.Second, 40*time.Second))
		b.setDown(true)
		time.Sleep(w.chance.between(100*time.Millisecond, 15*time.Second))
		b.setDown(false)
	}
}

// settle waits until nothing is left to do.
func (w *world) settle() {
	deadline := time.Now().Add(settlePatience)
	for w.audit.violated() == "" {
		left := append(w.audit.complaints(), w.store.remains()...)
		if uneven := w.store.uneven(); uneven != "" {
			left = append(left, uneven)
		}
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			w.audit.violate("%s after the last fault something is stuck: %v", settlePatience, left)
		}
		time.Sleep(500 * time.Millisecond)
	}
}

// finish stops the relays in good order.
func (w *world) finish(last []*life) {
	for _, l := range last {
		l.stop()
	}
	for _, l := range last {
		if !l.end(stopPatience) {
			w.audit.violate("%s does not stop within %s", l.name, stopPatience)
			l.kill()
			<-l.ended
		}
	}
	for _, l := range last {
		if w.store.leased(l.lastSession()) && !l.isDead() {
			w.audit.violate("%s has stopped in good order and left its lease behind", l.name)
		}
	}
	for _, left := range append(w.audit.complaints(), w.store.remains()...) {
		w.audit.violate("after the relays have stopped: %s", left)
	}
}

// start begins a life.
func (w *world) start(name, instance string, cfg relay.Config) *life {
	l := &life{w: w, name: name, instance: instance, ended: make(chan struct{})}
	ctx, stop := context.WithCancel(w.ctx)
	l.stop = stop
	metrics, err := relay.NewMetrics(noop.Meter{})
	require.NoError(w.t, err)
	cfg.Instance, cfg.At, cfg.Clock = instance, l.at, l.newClock()
	r, err := relay.New(cfg, relay.Options{
		Store: &storeClient{db: w.store, life: l}, Broker: &brokerClient{brokers: w.brokers, life: l},
		Log: newTraceLog(l), Metrics: metrics, Progress: func() {},
	})
	require.NoError(w.t, err)
	if w.chance.hit(0.5) { // not every broker lets everybody ask
		for _, b := range w.brokers {
			r.SetBroker(b.name, relay.BrokerSettings{TransactionTimeout: transactionTimeOut})
		}
	}
	w.trace.add("%s starts as instance %s", name, instance)
	go func() {
		defer close(l.ended)
		if err := r.Run(ctx); err != nil && !errors.Is(err, errKilled) {
			w.audit.violate("Run of %s returned %v", name, err)
		}
		w.trace.add("%s has ended", name)
	}()
	return l
}
