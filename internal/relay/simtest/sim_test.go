package simtest

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// seeds is how many runs a plain go test makes. SIM_SEEDS=n makes more or fewer, SIM_SEED=n only the one.
const seeds = 200

func TestLivesFullOfFaults(t *testing.T) {
	t.Parallel()
	first, last := uint64(1), uint64(number(t, "SIM_SEEDS", seeds))
	if testing.Short() {
		last = min(last, 40)
	}
	if one := number(t, "SIM_SEED", 0); one != 0 {
		first, last = uint64(one), uint64(one)
	}
	for seed := first; seed <= last; seed++ {
		t.Run("seed "+strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, seed, mutant{})
				violation := w.run()
				committed, visible, dead := w.audit.counts()
				t.Logf("%d rows committed, %d messages visible, %d rows dead", committed, visible, dead)
				if violation != "" {
					t.Errorf("seed %d: %s\n%s", seed, violation, w.story())
				}
				require.Positive(t, committed, "the application wrote nothing")
			})
		})
	}
}

// story is the part of the trace that a violation is about.
func (w *world) story() string {
	words := w.audit.words
	if len(words) == 0 {
		return strings.Join(w.trace.last(200), "\n")
	}
	words = append(words, "VIOLATION", "killed", "frozen", "goes on", "starts as", "calm", "declared dead", "has expired", "session over")
	return strings.Join(w.trace.last(200, words...), "\n")
}

func number(t *testing.T, variable string, otherwise int64) int64 {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseInt(text, 10, 64)
	require.NoError(t, err, "environment variable "+variable)
	return n
}
