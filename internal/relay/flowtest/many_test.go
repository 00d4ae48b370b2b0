package flowtest

import (
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/relay"
	"github.com/outbox-relay/outbox-relay/internal/stack"
	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
)

// Many relays on one outbox.

func named(instance string) func(*relay.Config) {
	return func(c *relay.Config) { c.Instance = instance }
}

// divided waits until n relays have divided the shards evenly.
func (w *world) divided(n int) {
	w.t.Helper()
	least, most := 64/n, (64+n-1)/n
	even := fmt.Sprintf(`outbox_lease WHERE length(replace(shards::bit(64)::text, '0', '')) BETWEEN %d AND %d`, least, most)
	require.Eventually(w.t, func() bool {
		return w.count("outbox_lease") == n && w.count(even) == n &&
			w.number("SELECT coalesce(bit_or(shards), 0) FROM outbox_lease") == -1
	}, patience, 10*time.Millisecond, "%d relays with %d to %d shards each", n, least, most)
}

func TestShardsAreDividedBetweenRelays(t *testing.T) {
	t.Parallel()
	stacktest.Needs(t, stack.Fence)
	w := newWorld(t, 4)
	w.keepBooks()
	stop := w.write("a", "", "b", "", "c", "d", "e")
	first := w.start(named("first"))
	w.divided(1)
	second := w.start(named("second"))
	w.divided(2)
	third := w.victim("", 0, named("third"))
	w.divided(3)
	second.end()
	w.divided(2)
	require.NoError(t, third.Process.Kill())
	w.divided(1)
	w.start(named("fourth"))
	w.divided(2)
	first.end()
	w.divided(1)
	written := stop()
	w.drained()
	w.arrived(written)
}

// What a living relay leaves in doubt in shards that it gives up, the next owner resolves.
func TestDoubtsGoWithTheirShards(t *testing.T) {
	t.Parallel()
	stacktest.Needs(t, stack.Fence)
	w := newWorld(t, 4)
	network := &doubtful{rand: newRandom(t)}
	w.insert(400, "a", "", "b", "", "c", "d", "", "e", "f")
	w.startOn(w.settings(), func(b relay.Broker) relay.Broker {
		network.Broker = b
		return network
	})
	require.Eventually(t, func() bool { return network.lost.Load() > 3 }, patience, time.Millisecond)
	w.start(named("second"))
	w.divided(2)
	w.start(named("third"))
	w.divided(3)
	w.drained()
	w.exactly(400)
}

// Killed in the middle of a hand-over, on either side.
func TestKilledWhileShardsChangeHands(t *testing.T) {
	t.Parallel()
	for _, point := range []relay.Point{relay.PointTake, relay.PointRelease} {
		t.Run(string(point), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 4)
			w.keepBooks()
			stop := w.write("a", "", "b", "", "c")
			if point == relay.PointRelease { // the first one gives
				giver := w.victim(point, 1, named("giver"))
				w.divided(1)
				w.start(named("taker"))
				w.dies(giver)
			} else {
				w.start(named("giver"))
				w.divided(1)
				w.dies(w.victim(point, 1, named("taker")))
			}
			w.divided(1)
			written := stop()
			w.drained()
			w.arrived(written)
		})
	}
}

// A rolling update: three relays under load, one after the other replaced in good order, as Kubernetes does. The longest time
// without any delivery, and without one of any single key, is in the log.
func TestRollingUpdateOfThreeRelays(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 4)
	w.keepBooks()
	running := make([]*running, 3)
	for i := range running {
		running[i] = w.start(named(fmt.Sprintf("old-%d", i)))
	}
	w.divided(3)
	stop := w.write("a", "", "b", "", "c", "d", "e", "f")
	before := w.sent()
	require.Eventually(t, func() bool { return w.sent() > before+100 }, patience, 5*time.Millisecond)
	for i := range running {
		w.start(named(fmt.Sprintf("new-%d", i))) // the new one first, then the old one goes
		w.divided(4)
		running[i].end()
		w.divided(3)
	}
	written := stop()
	w.drained()
	w.arrived(written)
	w.logGaps()
}

// logGaps logs the longest time between two messages, by the broker's clock.
func (w *world) logGaps() {
	w.t.Helper()
	stored := make(map[string][]time.Time)
	for _, m := range w.read() {
		stored["any"] = append(stored["any"], m.Stored)
		if key := m.Properties["SHARDING_KEY"]; key != "" {
			stored[key] = append(stored[key], m.Stored)
		}
	}
	var all, one time.Duration
	for key, times := range stored {
		slices.SortFunc(times, time.Time.Compare)
		for i := 1; i < len(times); i++ {
			gap := times[i].Sub(times[i-1])
			if key == "any" {
				all = max(all, gap)
			} else {
				one = max(one, gap)
			}
		}
	}
	w.t.Logf("longest gap in delivery: %s; of one key: %s", all, one)
}

// A relay that is frozen longer than its lease while others work, and then goes on, publishes nothing twice and gets its share
// back.
func TestFrozenAmongOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 4)
	w.keepBooks()
	frozen := w.victim("", 0, named("frozen"))
	w.start(named("second"))
	w.divided(2)
	stop := w.write("a", "", "b", "", "c", "d")
	before := w.sent()
	require.Eventually(t, func() bool { return w.sent() > before+50 }, patience, time.Millisecond)
	require.NoError(t, frozen.Process.Signal(syscall.SIGSTOP))
	w.divided(1)
	require.NoError(t, frozen.Process.Signal(syscall.SIGCONT))
	w.divided(2)
	written := stop()
	w.drained()
	w.arrived(written)
}

// Two outboxes in one producer group: brokers ask each relay about the other's halves. It is noticed, and does no harm.
func TestRelaysOfDifferentOutboxesInOneGroup(t *testing.T) {
	t.Parallel()
	servers := stacktest.Shared(t)
	group := servers.Group(t)
	one := worldOn(t, servers.Database(t), servers.NameServer(), servers.Topic(t, 2), group)
	two := worldOn(t, servers.Database(t), servers.NameServer(), servers.Topic(t, 2), group)
	for _, w := range []*world{one, two} {
		w.insert(200, "a", "", "b")
		// Halves are left behind for brokers to ask about.
		w.dies(w.victim(relay.PointHalf, 1, func(c *relay.Config) { c.BatchRows = 100 }))
		w.start()
	}
	for _, w := range []*world{one, two} {
		w.insert(200, "a", "", "b")
		require.Eventually(t, func() bool { return w.foreign.Load() > 0 }, patience, 10*time.Millisecond, "it is noticed")
		w.drained()
		w.exactly(400)
	}
}
