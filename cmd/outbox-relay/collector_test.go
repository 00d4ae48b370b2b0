package main

import (
	"math"
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMemoryLimit(t *testing.T) {
	t.Parallel()
	assert.EqualValues(t, leastLimit, memoryLimit(0))
	assert.EqualValues(t, leastLimit, memoryLimit(14<<20), "a relay at full speed")
	assert.EqualValues(t, 212<<20, memoryLimit(100<<20), "twice what is live, as Go does by default, and what is not heap")
	assert.Positive(t, memoryLimit(math.MaxUint64/2))
}

// A process with much to keep gets room for it by itself; one whose environment says how it collects is left alone.
//
//nolint:paralleltest // The collector is one for the process.
func TestCollectorFollowsWhatIsLive(t *testing.T) {
	growth, limit := debug.SetGCPercent(100), debug.SetMemoryLimit(-1)
	t.Cleanup(func() {
		debug.SetGCPercent(growth)
		debug.SetMemoryLimit(limit)
	})
	for _, name := range []string{"GOGC", "GOMEMLIMIT"} {
		tuneCollector(func(asked string) string {
			if asked == name {
				return "200"
			}
			return ""
		})()
		require.Equal(t, limit, debug.SetMemoryLimit(-1))
	}

	restore := tuneCollector(func(string) string { return "" })
	require.EqualValues(t, leastLimit, debug.SetMemoryLimit(-1))
	keep := make([][]byte, 200)
	for i := range keep {
		keep[i] = make([]byte, 1<<20)
	}
	limited := func(most bool) func() bool {
		return func() bool {
			runtime.GC()
			now := debug.SetMemoryLimit(-1)
			return most && now >= 400<<20 || !most && now < 400<<20
		}
	}
	require.Eventually(t, limited(true), 20*time.Second, 10*time.Millisecond)
	runtime.KeepAlive(keep)
	keep = nil
	require.Eventually(t, limited(false), 20*time.Second, 10*time.Millisecond, "and gives it back: %d", len(keep))
	restore()
	require.Equal(t, limit, debug.SetMemoryLimit(-1))
	require.Equal(t, 100, debug.SetGCPercent(100))
}
