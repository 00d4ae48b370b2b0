package relay

import (
	"context"
	"math"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSpanFollowsWhatReadsTake(t *testing.T) {
	t.Parallel()
	s := span{least: 100, took: time.Second}
	assert.EqualValues(t, 150, s.from(50, 1000))
	assert.EqualValues(t, 120, s.from(50, 120))
	s.read(time.Millisecond)
	assert.EqualValues(t, 250, s.from(50, 1000))
	s.read(2 * time.Second)
	s.read(2 * time.Second)
	assert.EqualValues(t, 150, s.from(50, 1000), "not below the least")
	for range 100 {
		s.read(0)
	}
	assert.EqualValues(t, math.MaxInt64, s.from(math.MaxInt64-5, math.MaxInt64))
	assert.EqualValues(t, 1000, s.from(0, 1000))
}

// A read from far back goes in steps, each of which moves the cursor, and ends with one without end.
func TestReadFromFarBackGoesInSteps(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, r := idle(t)
		const last = 10_000_000
		b.db.decided = func() (Decided, error) { return Decided{Allocated: last}, nil }
		var asked []FreshQuery
		b.db.fresh = func(q FreshQuery) ([]Row, error) {
			asked = append(asked, q)
			time.Sleep(time.Duration(min(q.UpTo, last)-q.After) * time.Microsecond) // a million a second
			if q.After < last && q.UpTo >= last {
				return []Row{*plain(last)}, nil
			}
			return nil, nil
		}
		taken := 0
		for more := true; more; {
			var n int
			var err error
			n, more, err = r.read(t.Context())
			require.NoError(t, err)
			taken += n
		}
		require.Equal(t, 1, taken)
		for i, q := range asked[1:] {
			require.Equal(t, asked[i].UpTo, q.After)
			require.Less(t, min(q.UpTo, last)-q.After, int64(2_000_000), "no statement takes long")
		}
		require.EqualValues(t, math.MaxInt64, asked[len(asked)-1].UpTo)
		require.Less(t, len(asked), 50)
	})
}

// The sweep goes beside the reads: it finds what was left behind for no reason, and they go on from where they are.
func TestSweepFindsWhatWasLeftBehind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, r := idle(t)
		b.db.decided = func() (Decided, error) { return Decided{Allocated: 50_000}, nil }
		var there atomic.Bool
		var asked []FreshQuery
		b.db.fresh = func(q FreshQuery) ([]Row, error) {
			asked = append(asked, q)
			time.Sleep(10 * time.Millisecond)
			if there.Load() && q.After < 15_000 && q.UpTo >= 15_000 {
				return []Row{*plain(15_000)}, nil
			}
			return nil, nil
		}
		ctx, cancel := context.WithCancel(t.Context())
		ran := make(chan error, 1)
		go func() { ran <- r.run(ctx) }()
		time.Sleep(time.Second)
		there.Store(true)
		time.Sleep(sweepEvery / 2)
		require.Empty(t, b.intake.under())
		time.Sleep(sweepEvery)
		require.Equal(t, []int64{15_000}, b.intake.under())
		cancel()
		b.end(nil)
		require.ErrorIs(t, <-ran, errStopped)
		steps := 0
		for _, q := range asked {
			if q.UpTo < math.MaxInt64 {
				steps++
				require.LessOrEqual(t, q.UpTo, int64(50_000))
			}
		}
		require.Greater(t, steps, 1)
		require.Less(t, steps, 20)
	})
}
