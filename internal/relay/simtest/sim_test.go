package simtest

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestLivesFullOfFaults runs the fixed seeds. SIM_SEEDS=n runs n of them, SIM_SEED=n only the one.
func TestLivesFullOfFaults(t *testing.T) {
	t.Parallel()
	first, last := uint64(1), uint64(number(t, "SIM_SEEDS", seeds))
	if testing.Short() {
		last = min(last, 50)
	}
	if one := number(t, "SIM_SEED", 0); one != 0 {
		first, last = uint64(one), uint64(one)
	}
	all := &totals{events: make(map[string]int)}
	t.Run("seeds", func(t *testing.T) {
		for seed := first; seed <= last; seed++ {
			t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) { all.add(live(t, seed)) })
			})
		}
	})
	if last-first >= 49 && !t.Failed() {
		all.check(t)
	}
}

// live runs one seed.
func live(t *testing.T, seed uint64) *world {
	w := newWorld(t, seed, mutant{})
	violation := w.run()
	committed, visible, dead := w.audit.counts()
	t.Logf("%d rows committed, %d messages visible, %d rows dead", committed, visible, dead)
	if violation != "" {
		t.Errorf("seed %d: %s\n%s", seed, violation, w.story())
	}
	require.Positive(t, committed, "the application wrote nothing")
	return w
}

// totals adds up what happened in all runs.
type totals struct {
	mu     sync.Mutex
	events map[string]int
}

func (a *totals) add(w *world) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for event, n := range w.trace.tally {
		a.events[event] += n
	}
}

// check complains about what never happened: a simulation without it would be quieter than it says.
func (a *totals) check(t *testing.T) {
	t.Helper()
	for _, event := range []string{
		"%s is frozen", "%s is killed", "%s is asked to stop", "session %s has expired, finds %s", "session %s is declared dead by the new %s",
		"session %s gives %d shards up", "struck: %s as %s", "buried: %s, %s", "put off for %s: %s, %s", "%s: Write breaks off",
		"not decided, the lease of %s is gone: attempt %s", "not decided, %s is gone: attempt %s",
		"an operator requeues %s", "an operator withdraws %s",
		"%s logs: resolved%s", "%s logs: in doubt, and cannot be resolved yet%s", "%s logs: settled what the last session knew%s",
		"%s logs: the broker's clock differs from this machine's by more than the window: halves are born by the broker's%s",
		"%s logs: the born time of a batch is wrong by the broker's clock: the batch is built again%s",
	} {
		assert.Positive(t, a.events[event], "it never happened in any run: "+event)
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
