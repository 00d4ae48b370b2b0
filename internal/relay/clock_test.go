package relay

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A skewed world has a relay and a broker whose wall clocks are set by the test. A half that the broker stores is committed
// in time, or not, by the broker's clock.
type skewed struct {
	mu            sync.Mutex
	relay, broker time.Duration // what each clock is ahead of the time that passes
	mute          error         // the broker's clock cannot be read, because of this
	born          map[int64]time.Time
	reads         int
	early, late   int // commits accepted, and refused
	windows       []time.Duration
}

func (w *skewed) set(relay, broker time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.relay, w.broker = relay, broker
}

func (w *skewed) own() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Add(w.relay)
}

func (w *skewed) counts() (reads, accepted, refused int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.reads, w.early, w.late
}

// newSkewed is a bench with a broker that judges commits by its own clock, 1 ms away.
func newSkewed(t *testing.T) (*bench, *skewed) {
	t.Helper()
	w := &skewed{born: make(map[int64]time.Time)}
	b := newBench(t, func(c *Config) { c.Clock = w.own })
	b.mq.halves = func(halves []Half) []HalfAnswer {
		time.Sleep(time.Millisecond)
		answers := make([]HalfAnswer, len(halves))
		w.mu.Lock()
		defer w.mu.Unlock()
		for i, h := range halves {
			id := int64(len(w.born))
			w.born[id] = h.Born
			answers[i] = storedAt(id, codeOK)
		}
		return answers
	}
	b.mq.storedAt = func(StoredHalf) (time.Time, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.reads++
		return time.Now().Add(w.broker), w.mute
	}
	b.mq.commit = func(logOffset int64) Answer {
		w.mu.Lock()
		defer w.mu.Unlock()
		age := time.Now().Add(w.broker).Sub(w.born[logOffset])
		w.windows = append(w.windows, age)
		if age > b.cfg.Window {
			w.late++
			return answerRefused
		}
		w.early++
		return answerDone
	}
	return b, w
}

// relayed sends rows, one batch each, until the broker has accepted one, at most n times.
func (b *bench) relayed(w *skewed, n int) (batches int) {
	_, before, _ := w.counts()
	for i := range n {
		b.taken(plain(int64(i + 1))).run()
		b.again()
		if _, now, _ := w.counts(); now > before {
			return i + 1
		}
	}
	return n + 1
}

func TestBornTimeFollowsTheBrokersClock(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ relay, broker time.Duration }{
		"relay 3 minutes behind":          {-3 * time.Minute, 0},
		"relay 3 minutes ahead":           {3 * time.Minute, 0},
		"broker 3 minutes ahead":          {0, 3 * time.Minute},
		"broker an hour behind":           {0, -time.Hour},
		"both wrong by different amounts": {-time.Hour, 2 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b, w := newSkewed(t)
				w.set(tt.relay, tt.broker)
				assert.Equal(t, 2, b.relayed(w, 5), "the first batch learns the broker's clock, the second is born by it")
				reads, _, refused := w.counts()
				assert.Equal(t, 1, reads)
				assert.Zero(t, refused, "no commit was refused: the first batch was given up before it was decided")
				assert.InDelta(t, 2*time.Millisecond, w.windows[0], float64(3*time.Millisecond), "of the window nothing is lost, and nothing won")
				assert.Empty(t, b.paused())
				assert.Len(t, b.logs.with("differs from this machine's by more than the window"), 1)
				assert.True(t, b.metrics.alerting(AlertClock))
				b.stop()
			})
		})
	}
}

func TestSmallDifferencesAreLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, w := newSkewed(t)
		w.set(0, 450*time.Millisecond)
		assert.Equal(t, 1, b.relayed(w, 1))
		now, reading := b.clocks.now("b")
		assert.Equal(t, 1, reading)
		assert.True(t, now.Equal(time.Now()), "this machine's clock is good enough")
		assert.Empty(t, b.logs.with("clock"))
		w.set(0, 3*time.Second)
		time.Sleep(clockEvery)
		assert.Equal(t, 1, b.relayed(w, 1), "3 s are no reason to give a batch up")
		now, _ = b.clocks.now("b")
		assert.InDelta(t, 3*time.Second, now.Sub(time.Now().Round(0)), float64(2*time.Millisecond))
		assert.Len(t, b.logs.with("the broker's clock differs from this machine's: halves are born by the broker's"), 1)
		assert.False(t, b.metrics.alerting(AlertClock), "3 s of 10 are made up for, and nobody has to come")
		b.stop()
	})
}

func TestClockIsReadNowAndThen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, w := newSkewed(t)
		began := time.Now()
		for i := range 300 {
			b.taken(plain(int64(i + 1))).run()
			time.Sleep(100 * time.Millisecond)
		}
		reads, accepted, _ := w.counts()
		assert.Equal(t, 300, accepted)
		assert.InDelta(t, time.Since(began)/clockEvery, reads, 1)
		b.stop()
	})
}

func TestClocksThatJump(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		relay, broker time.Duration
		refused       int // commits at most
		batches       int // until one is accepted
	}{
		// What has passed is measured monotonically, so this machine's wall clock does not matter.
		"relay back": {-5 * time.Minute, 0, 0, 1},
		"relay on":   {5 * time.Minute, 0, 0, 1},
		// The first refusal has the broker's clock read again, at once and without a pause.
		"broker on": {0, 5 * time.Minute, 1, 3},
		// Nothing is refused; the windows end later, until the clock is read again.
		"broker back": {0, -5 * time.Minute, 0, 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b, w := newSkewed(t)
				require.Equal(t, 1, b.relayed(w, 1))
				time.Sleep(time.Second)
				w.set(tt.relay, tt.broker)
				assert.Equal(t, tt.batches, b.relayed(w, 5))
				_, _, refused := w.counts()
				assert.Equal(t, tt.refused, refused)
				assert.Empty(t, b.paused())
				time.Sleep(clockEvery)
				b.relayed(w, 2)
				assert.LessOrEqual(t, w.windows[len(w.windows)-1], 3*time.Millisecond)
				b.stop()
			})
		})
	}
}

// asleep is a machine that was suspended: its monotonic clock stood still, and its wall clock is right again.
func TestMachineThatWasAsleep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, w := newSkewed(t)
		require.Equal(t, 1, b.relayed(w, 1))
		w.set(time.Hour, time.Hour)
		assert.Equal(t, 2, b.relayed(w, 5), "the wall clock and the monotonic one have come apart: the clock is read")
		_, _, refused := w.counts()
		assert.Zero(t, refused)
		b.stop()
	})
}

func TestClockThatCannotBeReadIsSaidOnceAndPausesTheBroker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, w := newSkewed(t)
		w.set(0, time.Minute)
		w.mute = errors.New("no permission")
		b.taken(plain(1)).run()
		assert.Equal(t, []string{""}, b.paused(), "commits are refused, and reading the clock does not help")
		assert.Len(t, b.logs.with("paused broker=b topic= reason=window_over alert=true"), 1)
		_, _, refused := w.counts()
		assert.Equal(t, 1, refused)

		began := time.Now()
		var probes []time.Duration
		for time.Since(began) < 10*time.Minute {
			if b.pauses.admit("b", "t") {
				probes = append(probes, time.Since(began).Round(time.Second))
				assert.False(t, b.pauses.admit("b", "t"), "one row alone")
				b.taken(plain(1)).run()
				b.again()
			}
			time.Sleep(100 * time.Millisecond)
		}
		assert.Less(t, len(probes), 15, "the pause grows although every probe's half is stored: %v", probes)
		assert.Greater(t, len(probes), 5)
		assert.Len(t, b.logs.with("paused broker=b"), 1, "said once")
		assert.Len(t, b.logs.with("the broker's clock cannot be read"), 1, "said once")
		assert.True(t, b.metrics.alerting(AlertClock))

		w.mu.Lock()
		w.mute = nil
		w.mu.Unlock()
		time.Sleep(3 * time.Minute)
		require.True(t, b.pauses.admit("b", "t"))
		b.relayed(w, 3)
		assert.Empty(t, b.paused())
		assert.Len(t, b.logs.with("resumed broker=b"), 1)
		b.stop()
	})
}

func TestClockThatJumpsAllTheTimePausesTheBroker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, w := newSkewed(t)
		b.relayed(w, 1)
		b.mq.halves = func(h []Half) []HalfAnswer {
			return []HalfAnswer{storedAt(0, codeOK)}
		}
		b.mq.commit = func(int64) Answer { return answerRefused }
		b.taken(plain(1)).run()
		assert.Empty(t, b.paused(), "the clock is read first")
		b.taken(plain(1)).run()
		assert.Equal(t, []string{""}, b.paused(), "it was read, and the broker refuses all the same")
		b.stop()
	})
}

func TestBatchesDoNotAllReadTheClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, w := newSkewed(t)
		read := b.mq.storedAt
		b.mq.storedAt = func(h StoredHalf) (time.Time, error) {
			time.Sleep(time.Second)
			shown, err := read(h)
			return shown.Add(-time.Second), err
		}
		w.set(0, time.Minute)
		var running sync.WaitGroup
		for i := range 4 {
			running.Go(func() { b.taken(plain(int64(i + 1))).run() })
		}
		running.Wait()
		reads, _, refused := w.counts()
		assert.Equal(t, 1, reads)
		assert.Zero(t, refused, "all have waited for the one reading")
		b.stop()
	})
}

func TestReadingThatTellsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, w := newSkewed(t)
		c := b.clocks
		sent := time.Now()
		time.Sleep(b.cfg.Window/2 + time.Second)
		c.read(t.Context(), "b", "b:10911", StoredHalf{UniqKey: "A"}, sent, time.Now())
		reads, _, _ := w.counts()
		assert.Zero(t, reads, "the halves took so long that the broker's clock could be anywhere")
		_, ok := c.fits("b", time.Time{}, time.Now())
		assert.True(t, ok, "nothing is known")
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		c.read(ended, "b", "b:10911", StoredHalf{UniqKey: "A"}, time.Now(), time.Now())
		_, reading := c.now("b")
		assert.Zero(t, reading, "the session is over")
		b.stop()
	})
}

func TestMovedBrokerHasAnotherClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, w := newSkewed(t)
		require.Equal(t, 1, b.relayed(w, 1))
		b.mq.address = func(string) (string, bool) { return "b2:10911", true }
		w.set(0, time.Minute)
		assert.Equal(t, 2, b.relayed(w, 3))
		_, _, refused := w.counts()
		assert.Zero(t, refused)
		b.stop()
	})
}

func TestEarliestTimeOfAnyBroker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, _ := newSkewed(t)
		assert.True(t, b.BrokerTime().Equal(time.Now()), "nothing is known")
		b.clocks.note("b", "b:1", time.Now().Add(time.Hour), time.Now(), 0, nil)
		b.clocks.note("c", "c:1", time.Now().Add(-time.Minute), time.Now(), 0, nil)
		time.Sleep(time.Second)
		assert.True(t, b.BrokerTime().Equal(time.Now().Add(-time.Minute)))
		b.stop()
	})
}
