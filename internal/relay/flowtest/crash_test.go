package flowtest

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/relay"
	"github.com/outbox-relay/outbox-relay/internal/stack"
	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
)

// Each crash leaves one state behind, and the next relay under the same name ends it. See "Crashes" in
// docs/architecture.md for which.
func TestKilledAtEveryPoint(t *testing.T) {
	t.Parallel()
	stacktest.Needs(t, stack.Fence)
	for _, point := range []relay.Point{
		relay.PointRead, relay.PointHalf, relay.PointDecide, relay.PointCommitFirst, relay.PointCommit, relay.PointSettle,
	} {
		for _, hits := range []int32{1, 3} {
			t.Run(string(point), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, 4)
				w.insert(400, "a", "", "b", "", "c")
				w.dies(w.victim(point, hits, func(c *relay.Config) { c.BatchRows = 100 }))
				w.start()
				w.insert(100, "a", "b", "")
				w.drained()
				w.exactly(500)
			})
		}
	}
}

func TestKilledInTheResolver(t *testing.T) {
	t.Parallel()
	stacktest.Needs(t, stack.Fence)
	for _, first := range []relay.Point{relay.PointDecide, relay.PointCommitFirst, relay.PointCommit} {
		t.Run(string(first), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 4)
			w.insert(60, "a", "", "b")
			w.dies(w.victim(first, 1))
			w.dies(w.victim(relay.PointResolve, 1))
			w.dies(w.victim(relay.PointResolveClose, 1))
			w.start()
			w.drained()
			w.exactly(60)
		})
	}
}

// What a relay has waited of append_margin, the next one need not wait again: relays that never live for so long prove absence
// all the same.
func TestKilledBeforeTheMarginIsOver(t *testing.T) {
	t.Parallel()
	stacktest.Needs(t, stack.Fence)
	w := newWorld(t, 4)
	w.insert(60, "a", "", "b")
	w.dies(w.victim(relay.PointDecide, 1))
	const life, lives = 2500 * time.Millisecond, 16
	for n := 0; w.count("outbox_attempt WHERE closed_at IS NULL") > 0; n++ {
		require.Less(t, n, lives, "nothing is ever proven")
		short := w.victim("", 0, func(c *relay.Config) { c.AppendMargin = 2 * life })
		<-time.After(life)
		require.NoError(t, short.Process.Kill())
		_ = short.Wait()
	}
	w.start()
	w.drained()
	w.exactly(60)
}

func TestFrozenLongerThanItsLeaseThenContinued(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 4)
	frozen := w.victim("", 0, func(c *relay.Config) { c.Instance, c.BatchRows = "frozen", 20 })
	w.insert(2000, "a", "", "b", "", "c")
	require.Eventually(t, func() bool { return w.count("outbox_attempt") > 3 }, patience, time.Millisecond)
	require.NoError(t, frozen.Process.Signal(syscall.SIGSTOP))
	w.start(func(c *relay.Config) { c.Instance = "heir" })
	require.Eventually(t, func() bool { return w.count("outbox_lease WHERE instance = 'heir' AND shards = -1") == 1 }, patience,
		20*time.Millisecond, "the heir takes every shard when the lease has expired")
	require.NoError(t, frozen.Process.Signal(syscall.SIGCONT))
	w.insert(300, "a", "", "b")
	w.drained()
	w.exactly(2300)
	assert.Equal(t, 1, w.count("outbox_lease WHERE instance = 'frozen' AND shards <> -1"), "the frozen relay is back, with less than everything")
}

func TestSecondRelayTakesOverWhenTheFirstStops(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 4)
	first := w.start(func(c *relay.Config) { c.Instance = "first" })
	w.start(func(c *relay.Config) { c.Instance = "second" })
	w.insert(500, "a", "b", "")
	first.end()
	w.insert(500, "a", "b", "")
	w.drained()
	w.exactly(1000)
}
