package relay

import (
	"context"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// idle is a session on a broker that answers no half, so that what the reader starts stays under way.
func idle(t *testing.T, change ...func(*Config)) (*bench, *reader) {
	t.Helper()
	b := newBench(t, change...)
	b.mq.maxOffsets = func(queues []TopicQueue) ([]int64, error) {
		<-b.work.Done()
		return nil, b.work.Err()
	}
	return b, &reader{s: b.session, swept: newSweep()}
}

func TestExtentOfARead(t *testing.T) {
	t.Parallel()
	r := &reader{s: &session{Relay: &Relay{cfg: Config{BatchBytes: 10}}}}
	sized := func(sizes ...int) (rows []Row) {
		for i, n := range sizes {
			rows = append(rows, Row{ID: int64(10 * (i + 1)), Payload: make([]byte, n)})
		}
		return rows
	}
	tests := map[string]struct {
		rows []Row
		seen int64
		more bool
	}{
		"nothing":             {nil, math.MaxInt64, false},
		"less than the limit": {sized(1, 1), math.MaxInt64, false},
		"the limit":           {sized(1, 1, 1), 30, true},
		"the bytes":           {sized(4, 6), 20, true},
		"one large row":       {sized(100), 10, true},
		"almost the bytes":    {sized(4, 5), math.MaxInt64, false},
	}
	for name, tt := range tests {
		seen, more := r.extent(tt.rows, 3, math.MaxInt64)
		assert.Equal(t, tt.seen, seen, name)
		assert.Equal(t, tt.more, more, name)
	}
}

func TestReadAsksForWhatIsMissing(t *testing.T) {
	t.Parallel()
	b, r := idle(t, func(c *Config) { c.BatchRows, c.BatchBytes = 3, 1000 })
	b.db.decided = func() (Decided, error) { return Decided{Allocated: 50}, nil }
	var asked []FreshQuery
	b.db.fresh = func(q FreshQuery) ([]Row, error) {
		asked = append(asked, q)
		if len(asked) == 1 {
			return []Row{*plain(4), *ordered(60, "k"), *ordered(61, "k")}, nil
		}
		return nil, nil
	}
	taken, more, err := r.read(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 3, taken)
	assert.True(t, more)
	taken, more, err = r.read(t.Context())
	require.NoError(t, err)
	assert.Zero(t, taken)
	assert.False(t, more)
	require.Len(t, asked, 2)
	for i := range asked {
		slices.Sort(asked[i].Topics)
	}
	assert.Equal(t, FreshQuery{UpTo: math.MaxInt64, Shards: 1, Topics: []string{"t", "u"}, Exclude: []int64{}, Limit: 3, Bytes: 1000}, asked[0])
	assert.Equal(t, FreshQuery{After: 50, UpTo: math.MaxInt64, Shards: 1, Topics: []string{"t", "u"}, Exclude: []int64{60, 61}, Limit: 3, Bytes: 1000}, asked[1],
		"behind 50 writers may still be, so 60 and 61 are left out by name")
}

func TestReadLeavesOutTopicsOutOfReach(t *testing.T) {
	t.Parallel()
	b, r := idle(t)
	up := []string{"u"}
	b.mq.queues = func(topic string) []Queue {
		if slices.Contains(up, topic) {
			return []Queue{{"b", 0}}
		}
		return nil
	}
	b.db.decided = func() (Decided, error) { return Decided{Allocated: 50}, nil }
	var asked []FreshQuery
	b.db.fresh = func(q FreshQuery) ([]Row, error) {
		asked = append(asked, q)
		return nil, nil
	}
	step := func(now ...string) {
		t.Helper()
		up = now
		_, _, err := r.read(t.Context())
		require.NoError(t, err)
	}
	step("u")
	step("u")
	step("u", "t")
	require.Len(t, asked, 3)
	assert.Equal(t, []string{"u"}, asked[0].Topics)
	assert.EqualValues(t, 50, asked[1].After)
	assert.Len(t, asked[2].Topics, 2)
	assert.Zero(t, asked[2].After, "rows of t up to 50 have not been read")
	step()
	assert.Len(t, asked, 3, "with no topic in reach there is nothing to read")
	b.pauses.add("b", "t", ReasonBusy)
	step("u", "t")
	assert.Equal(t, []string{"u"}, asked[3].Topics, "t is paused on its only broker")
}

func TestNothingIsReadWithoutShardsOrRoom(t *testing.T) {
	t.Parallel()
	b, r := idle(t)
	b.throttle.add("b", throttleStart)
	taken, more, err := r.read(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 1, taken, "look again soon")
	assert.False(t, more)
	b.throttle.done("b", throttleStart-2)
	b.db.fresh = func(q FreshQuery) ([]Row, error) {
		assert.Equal(t, throttleStart-2, q.Limit, "no more than the broker takes")
		return nil, nil
	}
	_, _, err = r.read(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 1, b.db.count("ReadFresh"))
	b.intake = newIntake()
	_, _, err = r.read(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 1, b.db.count("ReadFresh"), "no shard is this session's")
}

func TestReadSplitsRowsByBroker(t *testing.T) {
	t.Parallel()
	b, r := idle(t)
	b.mq.queues = func(string) []Queue { return []Queue{{"b1", 0}, {"b2", 0}} }
	b.db.fresh = func(FreshQuery) ([]Row, error) { return []Row{*plain(1), *plain(2), *plain(3), *plain(4)}, nil }
	taken, _, err := r.read(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 4, taken)
	assert.Equal(t, 2, b.throttle.of("b1").under)
	assert.Equal(t, 2, b.throttle.of("b2").under)
	assert.Len(t, b.slots, 2, "a batch each")
}

func TestReadErrors(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*fakeStore){
		"sample the writers": func(f *fakeStore) { f.decided = func() (Decided, error) { return Decided{}, errPostgres } },
		"read the outbox":    func(f *fakeStore) { f.fresh = func(FreshQuery) ([]Row, error) { return nil, errPostgres } },
		"outbox":             func(f *fakeStore) { f.due = func(DueQuery) ([]Row, error) { return nil, errPostgres } },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, r := idle(t)
			change(b.db)
			err := r.run(t.Context())
			require.ErrorIs(t, err, errPostgres)
			require.ErrorContains(t, err, name)
		})
	}
}

func TestReadWaitsForASlot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, r := idle(t, func(c *Config) { c.InFlight = 1 })
		id := int64(0)
		b.db.fresh = func(FreshQuery) ([]Row, error) {
			id++
			return []Row{*plain(id)}, nil
		}
		ctx, cancel := context.WithCancel(t.Context())
		ran := make(chan error, 1)
		go func() { ran <- r.run(ctx) }()
		time.Sleep(time.Minute)
		assert.Equal(t, []int64{1, 2}, slices.Sorted(slices.Values(b.intake.under())), "one under way, one that waits for it")
		b.intake.advance(100, 100)
		cancel()
		synctest.Wait()
		assert.Equal(t, []int64{2}, b.again(2), "it was not sent, and another relay may have it")
		assert.Empty(t, ran, "1 is under way")
		b.end(ErrSessionOver)
		require.ErrorIs(t, <-ran, errStopped)
	})
}

func TestReaderStops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, r := idle(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, r.run(ctx), errStopped, "in good order")
		b.end(ErrSessionOver)
		require.NoError(t, r.run(t.Context()), "somebody else has said why")
	})
}

func TestReaderAdaptsItsPace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(c *Config) { c.BatchRows = 2 })
		b.mq.commit = func(int64) Answer { return Answer{} }
		var at []time.Time
		id := int64(0)
		rows := func(n int) (rows []Row) {
			for range n {
				id++
				rows = append(rows, *plain(id))
			}
			return rows
		}
		b.db.fresh = func(FreshQuery) ([]Row, error) {
			at = append(at, time.Now())
			switch len(at) {
			case 1, 2:
				return rows(2), nil // there is more
			case 3:
				return rows(1), nil
			case 12:
				return rows(1), nil
			}
			return nil, nil
		}
		ctx, cancel := context.WithCancel(t.Context())
		ran := make(chan error, 1)
		go func() { ran <- (&reader{s: b.session}).run(ctx) }()
		time.Sleep(2 * time.Second)
		cancel()
		require.ErrorIs(t, <-ran, errStopped)
		var waits []time.Duration
		for i := range 12 {
			waits = append(waits, at[i+1].Sub(at[i])/time.Millisecond)
		}
		assert.Equal(t, []time.Duration{0, 0, 2, 4, 8, 16, 32, 64, 100, 100, 100, 2}, waits, "milliseconds")
	})
}

func TestReaderLooksNowAndThen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.db.decided = func() (Decided, error) { return Decided{Allocated: 50}, nil }
		var swept []time.Duration
		began := time.Now()
		b.db.fresh = func(q FreshQuery) ([]Row, error) {
			if q.After == 0 {
				swept = append(swept, time.Since(began))
			}
			return nil, nil
		}
		ctx, cancel := context.WithCancel(t.Context())
		ran := make(chan error, 1)
		go func() { ran <- (&reader{s: b.session}).run(ctx) }()
		time.Sleep(10 * time.Second)
		assert.InDelta(t, 10*time.Second/(restFactor*drawEvery), b.db.count("Decided"), 2)
		assert.InDelta(t, 10*time.Second/(restFactor*dueEvery), b.db.count("ReadDue"), 4)
		time.Sleep(2*sweepEvery - 5*time.Second)
		cancel()
		require.ErrorIs(t, <-ran, errStopped)
		require.Len(t, swept, 3, "at the start and once a minute")
		assert.InDelta(t, sweepEvery, swept[1], float64(time.Second))
		assert.InDelta(t, 2*sweepEvery, swept[2], float64(time.Second))
	})
}

func TestDueRowsAreTakenIn(t *testing.T) {
	t.Parallel()
	b, r := idle(t)
	b.intake.hold(ordered(5, "k"), false)
	b.taken(plain(2))
	b.db.due = func(q DueQuery) ([]Row, error) {
		assert.Equal(t, []int64{2}, q.Exclude)
		assert.EqualValues(t, 1, q.Shards)
		return []Row{*ordered(5, "k"), *ordered(7, "k"), *plain(6)}, nil
	}
	taken, _, err := r.read(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 2, taken)
	assert.ElementsMatch(t, []int64{2, 5, 6}, b.intake.under(), "7 is behind 5, which holds the key")
}

func TestStrandedRowsAreReadAgainWhenTheirBrokerIsBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, r := idle(t)
		up := false
		b.mq.queues = func(string) []Queue { return []Queue{{"other", 0}} }
		b.mq.address = func(broker string) (string, bool) { return broker, broker == "other" || up }
		b.db.decided = func() (Decided, error) { return Decided{Allocated: 50}, nil }
		var asked []FreshQuery
		b.db.fresh = func(q FreshQuery) ([]Row, error) {
			asked = append(asked, q)
			if q.After < 5 {
				return []Row{*ordered(5, "k"), *ordered(6, "k")}, nil
			}
			return nil, nil
		}
		read := func() int {
			time.Sleep(dueEvery)
			taken, _, err := r.read(t.Context())
			require.NoError(t, err)
			return taken
		}
		assert.Zero(t, read(), "the key's broker is away")
		assert.Zero(t, read())
		assert.EqualValues(t, 50, asked[1].After, "the key is left behind, others are read")
		up = true
		read() // notices
		assert.Equal(t, 2, read())
		assert.EqualValues(t, 4, asked[3].After)
		assert.Empty(t, b.intake.strandedAt())
	})
}

func TestRowsOfAnUnknownTopicAreStrandedNotLost(t *testing.T) {
	t.Parallel()
	b, r := idle(t)
	b.db.fresh = func(FreshQuery) ([]Row, error) { return []Row{*of("unbound", plain(1))}, nil }
	taken, _, err := r.read(t.Context())
	require.NoError(t, err)
	assert.Zero(t, taken)
	assert.Equal(t, []pauseKey{{"", "unbound"}}, b.intake.strandedAt())
}

// A read that may have missed rows of a writer that the watermark had passed takes nothing in: a row may be behind one of
// its key that is missing. The next one starts where the missing rows can be.
func TestReadThatMissedAWriterTakesNothingIn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, r := idle(t)
		writers := []Writer{{Name: "long", XID: 7}}
		b.db.decided = func() (Decided, error) { return Decided{Allocated: 50, Writers: writers}, nil }
		var asked []FreshQuery
		b.db.fresh = func(q FreshQuery) ([]Row, error) {
			asked = append(asked, q)
			if len(q.Guard) > 0 && writers == nil {
				return []Row{*ordered(60, "k")}, nil
			}
			return nil, nil
		}
		b.db.missed = func(q FreshQuery) bool { return len(q.Guard) > 0 && writers == nil }
		for range 2 {
			_, _, err := r.read(t.Context())
			require.NoError(t, err)
			time.Sleep(guardAfter)
		}
		_, _, err := r.read(t.Context())
		require.NoError(t, err)
		require.Equal(t, []int64{7}, asked[2].Guard)
		require.EqualValues(t, 50, asked[2].After)
		writers = nil
		taken, more, err := r.read(t.Context())
		require.NoError(t, err)
		require.Zero(t, taken)
		require.True(t, more)
		_, _, err = r.read(t.Context())
		require.NoError(t, err)
		require.Zero(t, asked[4].After)
		require.Empty(t, asked[4].Guard)
	})
}
