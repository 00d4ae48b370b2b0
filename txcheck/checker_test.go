package txcheck_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/txcheck"
)

const (
	ours   = "6f1c0a3e-5b7d-4a57-9f0e-0d3c7d2b8a11"
	theirs = "11111111-5b7d-4a57-9f0e-0d3c7d2b8a11"
)

var now = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

func newChecker(t *testing.T, change func(*txcheck.Options)) *txcheck.Checker {
	t.Helper()
	o := txcheck.Options{Origin: ours, Window: 10 * time.Second, Clock: func() time.Time { return now }}
	if change != nil {
		change(&o)
	}
	c, err := txcheck.New(o)
	require.NoError(t, err)
	return c
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		origin string
		age    time.Duration
		window time.Duration // of the half itself
		want   txcheck.Answer
	}{
		{"ours and young", ours, time.Second, 10 * time.Second, txcheck.Unknown},
		{"ours, at the very end of the window", ours, 10 * time.Second, 10 * time.Second, txcheck.Unknown},
		{"ours, a millisecond after the window", ours, 10*time.Second + time.Millisecond, 10 * time.Second, txcheck.Rollback},
		{"ours, days old", ours, 72 * time.Hour, 10 * time.Second, txcheck.Rollback},
		{"ours, born in the future by a clock ahead of ours", ours, -time.Hour, 10 * time.Second, txcheck.Unknown},
		{"the half's own window is longer than the setting", ours, 15 * time.Second, 20 * time.Second, txcheck.Unknown},
		{"the half's own window is shorter than the setting", ours, 8 * time.Second, 7 * time.Second, txcheck.Rollback},
		{"a half without a window takes the setting, young", ours, 9 * time.Second, 0, txcheck.Unknown},
		{"a half without a window takes the setting, old", ours, 11 * time.Second, 0, txcheck.Rollback},
		{"the origin in upper case", strings.ToUpper(ours), time.Minute, 10 * time.Second, txcheck.Rollback},
		{"of another outbox, young", theirs, time.Second, 10 * time.Second, txcheck.Unknown},
		{"of another outbox, old", theirs, time.Hour, 10 * time.Second, txcheck.Unknown},
		{"of a program that is no relay", "", time.Hour, 0, txcheck.Unknown},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newChecker(t, nil)
			h := txcheck.Half{UniqKey: "K", Topic: "orders", Origin: tt.origin, Born: now.Add(-tt.age), Window: tt.window}
			require.Equal(t, tt.want, c.Check(h))
		})
	}
}

// FuzzCheckNeverCommits holds the one rule that everything else rests on, and that only halves of our own are rolled back.
func FuzzCheckNeverCommits(f *testing.F) {
	f.Add(ours, int64(0), int64(0), 0)
	f.Add(ours, int64(time.Hour), int64(10*time.Second), 14)
	f.Add(theirs, int64(time.Hour), int64(10*time.Second), 3)
	f.Add("", int64(-1), int64(-1), -1)
	f.Fuzz(func(t *testing.T, origin string, age, window int64, checks int) {
		c := newChecker(t, nil)
		got := c.Check(txcheck.Half{
			Origin: origin, Born: now.Add(-time.Duration(age)), Window: time.Duration(window), Checks: checks,
		})
		require.NotEqual(t, txcheck.Commit, got)
		if !strings.EqualFold(origin, ours) {
			require.Equal(t, txcheck.Unknown, got)
		}
	})
}

func TestCheckWarnsOncePerForeignOrigin(t *testing.T) {
	t.Parallel()
	var warned []txcheck.Half
	c := newChecker(t, func(o *txcheck.Options) { o.OnForeign = func(h txcheck.Half) { warned = append(warned, h) } })
	for range 3 {
		for _, origin := range []string{ours, theirs, ""} {
			c.Check(txcheck.Half{Origin: origin, Topic: "t-" + origin, Born: now})
		}
	}
	require.Len(t, warned, 2)
	require.Equal(t, theirs, warned[0].Origin)
	require.Equal(t, "t-"+theirs, warned[0].Topic)
	require.Empty(t, warned[1].Origin)
}

func TestCheckBoundsWhatItRemembers(t *testing.T) {
	t.Parallel()
	var warnings int
	c := newChecker(t, func(o *txcheck.Options) { o.OnForeign = func(txcheck.Half) { warnings++ } })
	for i := range 5000 {
		c.Check(txcheck.Half{Origin: fmt.Sprint(i), Born: now})
	}
	require.Equal(t, 1000, warnings, "what is remembered is bounded, and so are the warnings")
}

func TestCheckSurvivesPanics(t *testing.T) {
	t.Parallel()
	c := newChecker(t, func(o *txcheck.Options) {
		o.OnForeign = func(txcheck.Half) { panic("in OnForeign") }
		o.Clock = func() time.Time { panic("in Clock") }
	})
	require.Equal(t, txcheck.Unknown, c.Check(txcheck.Half{Origin: theirs}))
	require.Equal(t, txcheck.Unknown, c.Check(txcheck.Half{Origin: ours}))
	require.Equal(t, txcheck.Unknown, c.Check(txcheck.Half{Origin: theirs}), "a panic leaves no lock behind")
}

func TestCheckConcurrently(t *testing.T) {
	t.Parallel()
	var warnings atomic.Int64
	c := newChecker(t, func(o *txcheck.Options) { o.OnForeign = func(txcheck.Half) { warnings.Add(1) } })
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 500 {
				c.Check(txcheck.Half{Origin: fmt.Sprint(i % 10), Born: now})
				c.Check(txcheck.Half{Origin: ours, Born: now.Add(-time.Hour)})
			}
		})
	}
	wg.Wait()
	require.Equal(t, int64(10), warnings.Load())
}

func TestNewNamesEveryWrongOption(t *testing.T) {
	t.Parallel()
	_, err := txcheck.New(txcheck.Options{Window: -time.Second})
	require.ErrorContains(t, err, "origin: must be set")
	require.ErrorContains(t, err, "window: must be above 0, is -1s")
}

func TestNewDefaults(t *testing.T) {
	t.Parallel()
	c, err := txcheck.New(txcheck.Options{Origin: ours, Window: time.Second})
	require.NoError(t, err)
	require.Equal(t, txcheck.Rollback, c.Check(txcheck.Half{Origin: ours, Born: time.Now().Add(-time.Hour)}))
	require.Equal(t, txcheck.Unknown, c.Check(txcheck.Half{Origin: ours, Born: time.Now().Add(time.Hour)}))
	require.Equal(t, txcheck.Unknown, c.Check(txcheck.Half{Origin: theirs}), "without OnForeign nothing is called")
}

func TestAnswerNames(t *testing.T) {
	t.Parallel()
	var names []string
	for _, a := range txcheck.Answers() {
		names = append(names, a.String())
	}
	require.Equal(t, []string{"unknown", "rollback", "commit"}, names)
	require.Equal(t, "unknown", txcheck.Answer(42).String())
}
