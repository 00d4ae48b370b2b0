package flowtest

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// kills is how often TestKilledAtRandom kills the relay; OUTBOX_FLOWTEST_KILLS says otherwise.
const kills = 6

func TestKilledAtRandom(t *testing.T) {
	t.Parallel()
	n := kills
	if text, ok := os.LookupEnv("OUTBOX_FLOWTEST_KILLS"); ok {
		var err error
		n, err = strconv.Atoi(text)
		require.NoError(t, err)
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
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
