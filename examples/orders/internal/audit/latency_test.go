package audit_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/outbox-relay/outbox-relay/examples/orders/internal/audit"
)

// took makes an audit of messages that were committed a second apart and took so long.
func took(durations ...time.Duration) *audit.Audit {
	a := audit.New()
	for i, d := range durations {
		id, at := fmt.Sprint(i), start.Add(time.Duration(i)*time.Second)
		a.Committed(id, "c", int64(i), at)
		a.Delivered(audit.Delivery{ID: id, Customer: "c", Number: int64(i), Offset: int64(i), At: at.Add(d)})
	}
	return a
}

func TestPercentilesOfFewMessages(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	for n, want := range []audit.Latency{
		{},
		{Count: 1, P50: 1 * ms, P95: 1 * ms, P99: 1 * ms, Max: 1 * ms},
		{Count: 2, P50: 1 * ms, P95: 2 * ms, P99: 2 * ms, Max: 2 * ms},
		{Count: 3, P50: 2 * ms, P95: 3 * ms, P99: 3 * ms, Max: 3 * ms},
		{Count: 4, P50: 2 * ms, P95: 4 * ms, P99: 4 * ms, Max: 4 * ms},
	} {
		var durations []time.Duration
		for i := range n {
			durations = append(durations, time.Duration(i+1)*ms)
		}
		rand.Shuffle(n, func(i, j int) { durations[i], durations[j] = durations[j], durations[i] })
		require.Equal(t, want, took(durations...).Latency(), "of %d", n)
	}
}

// A percentile is one of the values, at least its share of them are not above it, and no smaller value has that share.
func TestPercentilesOfAnyMessages(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var durations []time.Duration
		for _, ms := range rapid.SliceOfN(rapid.IntRange(0, 50), 1, 150).Draw(t, "ms") {
			durations = append(durations, time.Duration(ms)*time.Millisecond)
		}
		l := took(durations...).Latency()
		notAbove := func(limit time.Duration) (n int) {
			for _, d := range durations {
				if d <= limit {
					n++
				}
			}
			return n
		}
		for share, p := range map[int]time.Duration{50: l.P50, 95: l.P95, 99: l.P99, 100: l.Max} {
			if !slices.Contains(durations, p) || 100*notAbove(p) < share*len(durations) || 100*notAbove(p-1) >= share*len(durations) {
				t.Fatalf("p%d of %v is %s", share, durations, p)
			}
		}
		if l.Count != len(durations) {
			t.Fatalf("%d of %d", l.Count, len(durations))
		}
	})
}

// What was on the way at any moment of an outage is left out, and what was not is not, to the nanosecond.
func TestWindowsAtTheirLimits(t *testing.T) {
	t.Parallel()
	at := func(s float64) time.Time { return start.Add(time.Duration(s * float64(time.Second))) }
	for name, test := range map[string]struct {
		from, to float64 // the window; the message was on the way from 10 to 11
		out      bool
	}{
		"before":                      {5, 9, false},
		"ends as it is committed":     {5, 10, false},
		"ends a moment later":         {5, 10.000001, true},
		"ends while it is on its way": {5, 10.5, true},
		"all the time":                {5, 15, true},
		"within":                      {10.2, 10.3, true},
		"exactly":                     {10, 11, true},
		"begins a moment before":      {10.999999, 15, true},
		"begins as it arrives":        {11, 15, false},
		"after":                       {12, 15, false},
		"empty, while on its way":     {10.5, 10.5, true},
		"empty, as it is committed":   {10, 10, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := audit.New()
			a.Committed("a", "c", 1, at(10))
			a.Delivered(audit.Delivery{ID: "a", Customer: "c", Number: 1, At: at(11)})
			want := 1
			if test.out {
				want = 0
			}
			require.Equal(t, want, a.Latency(audit.Window{From: at(test.from), To: at(test.to)}).Count)
		})
	}
	require.Equal(t, 2, took(1, 1).Latency(audit.Window{}).Count, "a window that never was leaves nothing out")
}

// Windows that overlap leave out what either does, and the order in which they are given is of no consequence.
func TestWindowsAddUp(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var durations []time.Duration
		for _, ms := range rapid.SliceOfN(rapid.IntRange(0, 5000), 1, 30).Draw(t, "ms") {
			durations = append(durations, time.Duration(ms)*time.Millisecond)
		}
		var windows []audit.Window
		for range rapid.IntRange(0, 4).Draw(t, "windows") {
			from := rapid.IntRange(0, 35_000).Draw(t, "from")
			to := from + rapid.IntRange(0, 10_000).Draw(t, "length")
			windows = append(windows, audit.Window{From: start.Add(time.Duration(from) * time.Millisecond), To: start.Add(time.Duration(to) * time.Millisecond)})
		}
		var kept []time.Duration
		for i, d := range durations {
			committed := start.Add(time.Duration(i) * time.Second)
			out := false
			for _, w := range windows {
				out = out || committed.Before(w.To) && committed.Add(d).After(w.From)
			}
			if !out {
				kept = append(kept, d)
			}
		}
		a := took(durations...)
		l := a.Latency(windows...)
		if l.Count != len(kept) || len(kept) > 0 && l.Max != slices.Max(kept) {
			t.Fatalf("%+v, but %v were outside of %v", l, kept, windows)
		}
		slices.Reverse(windows)
		if again := a.Latency(windows...); again != l {
			t.Fatalf("%+v, then %+v", l, again)
		}
	})
}

// What was not committed, or is not there yet, has no latency.
func TestLatencyIsOfWhatWasCommitted(t *testing.T) {
	t.Parallel()
	a := took(time.Millisecond)
	a.RolledBack("r")
	a.Delivered(audit.Delivery{ID: "r", Customer: "c", Offset: 1, At: start.Add(time.Hour)})
	a.Delivered(audit.Delivery{ID: "x", Customer: "c", Offset: 2, At: start.Add(time.Hour)})
	a.Committed("on its way", "c", 9, start)
	require.Equal(t, audit.Latency{Count: 1, P50: time.Millisecond, P95: time.Millisecond, P99: time.Millisecond, Max: time.Millisecond}, a.Latency())
}
