package flowtest

import (
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/relay"
	"github.com/outbox-relay/outbox-relay/internal/stack"
	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
)

// wrongClock is a wall clock that a test sets.
type wrongClock struct{ ahead atomic.Int64 }

func (c *wrongClock) set(ahead time.Duration) { c.ahead.Store(int64(ahead)) }

func (c *wrongClock) now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

// refusals counts commits that the broker calls late.
type refusals struct {
	relay.Broker
	n atomic.Int64
}

func (r *refusals) Commit(address string, halves []relay.StoredHalf, timeout time.Duration, answered func(int, relay.Answer)) {
	r.Broker.Commit(address, halves, timeout, func(i int, a relay.Answer) {
		if a.Err == nil && a.Code == 604 {
			r.n.Add(1)
		}
		answered(i, a)
	})
}

// A relay whose clock is wrong by minutes, and is set while it runs, behaves as if it were right.
func TestRelaysClockIsWrong(t *testing.T) {
	t.Parallel()
	for name, jumps := range map[string][]time.Duration{
		"behind":  {-3 * time.Minute},
		"ahead":   {3 * time.Minute},
		"jumping": {0, 3 * time.Minute, -3 * time.Minute, time.Hour, -time.Minute, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 4)
			w.keepBooks()
			clock, refused := &wrongClock{}, &refusals{}
			clock.set(jumps[0])
			cfg := w.settings()
			cfg.Clock, cfg.Window = clock.now, 20*time.Second // a busy machine is not to be late by itself
			w.startOn(cfg, func(b relay.Broker) relay.Broker {
				refused.Broker = b
				return refused
			})
			stop := w.write("a", "", "b", "", "c")
			for _, ahead := range jumps {
				clock.set(ahead)
				w.goesOn(100)
			}
			n := stop()
			w.drained()
			w.arrived(n)
			assert.Zero(t, refused.n.Load(), "commits that the broker calls late")
			assert.InDelta(t, 0, w.number(`SELECT extract(epoch FROM max((decided_at - born_at)))::int FROM outbox_attempt`), 5,
				"halves are born by the broker's clock")
		})
	}
}

// goesOn waits until some more rows have been sent.
func (w *world) goesOn(rows int) {
	w.t.Helper()
	before := w.sent()
	require.Eventually(w.t, func() bool { return w.sent() >= before+rows }, patience, 20*time.Millisecond, "nothing moves")
}

// worldWithClock has a broker of its own whose clock can be set.
func worldWithClock(t *testing.T) (*world, *stack.Broker) {
	t.Helper()
	options := stack.Options{Engine: stack.EngineNative}
	ns, err := stack.StartNameServer(t.Context(), options)
	require.NoError(t, err)
	t.Cleanup(func() { _ = ns.Close() })
	options.FakeClock, options.BrokerConfig = true, stack.FastTransactions()
	broker, err := stack.StartBroker(t.Context(), ns, options)
	require.NoError(t, err)
	t.Cleanup(func() { _ = broker.Close() })
	require.NoError(t, broker.CreateTopic(t.Context(), "orders", 4, "TRANSACTION"))
	return worldOn(t, stacktest.Shared(t).Database(t), ns.Addr, "orders", "group"), broker
}

// The broker's clock is set on and back under load, on a network that loses commits and answers. Doubts wait for the end of
// their windows by the broker's clock, so the steps back are seconds here.
func TestBrokersClockIsSetUnderLoad(t *testing.T) {
	t.Parallel()
	w, broker := worldWithClock(t)
	w.keepBooks()
	network := &doubtful{rand: rand.New(rand.NewPCG(3, 4))}
	w.startOn(w.settings(), func(b relay.Broker) relay.Broker {
		network.Broker = b
		return network
	})
	stop := w.write("a", "", "b", "", "c", "d", "", "e", "f", "g")
	for _, offset := range []time.Duration{0, 3 * time.Minute, 3*time.Minute - 15*time.Second, time.Hour, time.Hour - 10*time.Second} {
		require.NoError(t, broker.SetClock(offset))
		begin := time.Now()
		for time.Since(begin) < 3*time.Second { // the broker looks at its clock once a second
			w.goesOn(20)
		}
	}
	n := stop()
	w.drained()
	w.arrived(n)
	assert.Positive(t, network.lost.Load())
}
