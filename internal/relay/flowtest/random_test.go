package flowtest

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/stack"
	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
)

// kills is how often the tests below kill something; OUTBOX_FLOWTEST_KILLS says otherwise.
const kills = 6

// chance returns how often to kill, and a generator whose seed is in the log.
func chance(t *testing.T) (n int, random *rand.Rand) {
	t.Helper()
	n = kills
	if text, ok := os.LookupEnv("OUTBOX_FLOWTEST_KILLS"); ok {
		var err error
		n, err = strconv.Atoi(text)
		require.NoError(t, err)
	}
	return n, newRandom(t)
}

// newRandom returns a generator whose seed is in the log.
func newRandom(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

func TestKilledAtRandom(t *testing.T) {
	t.Parallel()
	stacktest.Needs(t, stack.Fence)
	n, random := chance(t)
	w := newWorld(t, 4)
	w.keepBooks()
	stop := w.write("a", "", "b", "", "c", "d", "e", "f")
	for range n {
		relay := w.victim("", 0)
		before := w.sent()
		require.Eventually(t, func() bool { return w.sent() > before }, patience, time.Millisecond, "it starts to send")
		<-time.After(time.Duration(random.IntN(1500)) * time.Millisecond)
		require.NoError(t, relay.Process.Kill())
		_ = relay.Wait()
	}
	w.start()
	written := stop()
	w.drained()
	w.arrived(written)
}

func TestEverythingKilledAtRandom(t *testing.T) {
	t.Parallel()
	stacktest.Needs(t, stack.Fence)
	n, random := chance(t)
	w, broker := worldWithBroker(t, map[string]string{"flushDiskType": "SYNC_FLUSH"})
	postgres, err := stack.StartPostgres(t.Context(), stack.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = postgres.Close() })
	w = worldOn(t, postgres.URL("postgres"), w.nameServer, w.topic, w.group)
	w.keepBooks()
	stop := w.write("a", "", "b", "", "c", "d", "e", "f")
	relay := w.victim("", 0)
	for range (n + 1) / 2 { // each takes seconds
		before := w.sent()
		require.Eventually(t, func() bool { return w.sent() > before }, patience, time.Millisecond, "it goes on")
		<-time.After(time.Duration(random.IntN(1000)) * time.Millisecond)
		victims := 1 + random.IntN(7) // one, two or all three at once
		if victims&1 != 0 {
			require.NoError(t, relay.Process.Kill())
			_ = relay.Wait()
		}
		if victims&2 != 0 {
			require.NoError(t, postgres.Kill())
			require.NoError(t, postgres.Start(t.Context()))
			w.reconnect()
		}
		if victims&4 != 0 {
			require.NoError(t, broker.Kill())
			require.NoError(t, broker.Start(t.Context()))
		}
		if victims&1 != 0 {
			relay = w.victim("", 0)
		}
	}
	written := stop()
	w.drained()
	w.arrived(written)
}
