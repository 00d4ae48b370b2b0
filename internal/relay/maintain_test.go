package relay

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// minding runs one of the session's side jobs for a while.
func (b *bench) minding(t *testing.T, job func() error, d time.Duration) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- job() }()
	time.Sleep(d)
	b.end(errStopped)
	require.NoError(t, <-done)
}

func TestGaugesAreReadEveryTenSeconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		unbound := []int64{0, 5, 7, 0, 3}
		var at []time.Duration
		began := time.Now()
		b.db.backlog = func() (Backlog, error) {
			n := len(at)
			at = append(at, time.Since(began))
			if n == 2 {
				return Backlog{}, errPostgres
			}
			return Backlog{Rows: 9, Unbound: unbound[n]}, nil
		}
		b.minding(t, func() error { return b.gauge(b.work) }, 45*time.Second)
		assert.Equal(t, []time.Duration{0, 10 * time.Second, 20 * time.Second, 30 * time.Second, 40 * time.Second}, at)
		assert.Len(t, b.logs.with("the backlog could not be measured"), 1, "and no message is harmed")
		assert.Len(t, b.logs.with("rows wait for topics that are not bound"), 2, "at 10 s and, after a break, at 40 s")
	})
}

func TestGaugesShowTheBacklogAndTheDoubts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		m, scrape := scraped(t)
		b.metrics = m
		b.unresolved()
		b.resolver.add(&doubt{broker: "b", since: time.Now().Add(-time.Hour), queue: TopicQueue{"t", 0}})
		b.db.backlog = func() (Backlog, error) { return Backlog{Rows: 9}, nil }
		b.minding(t, func() error { return b.gauge(b.work) }, time.Second)
		families := scrape()
		assert.InDelta(t, 9, value(t, families, `outbox_relay_backlog_rows{}`), 0)
		assert.InDelta(t, 1, value(t, families, `outbox_relay_in_doubt_messages{age="older"}`), 0)
	})
}

func TestPurgeGoesOnWhileThereIsMore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		var at []time.Duration
		began := time.Now()
		answers := []int{purgeChunk, purgeChunk, 3, 0}
		b.db.purge = func(limit int) (int, error) {
			assert.Equal(t, purgeChunk, limit)
			n := len(at)
			at = append(at, time.Since(began))
			if n < len(answers) {
				return answers[n], nil
			}
			return 0, errPostgres
		}
		b.minding(t, func() error { return b.purge(b.work) }, 10*time.Minute)
		require.Greater(t, len(at), 8, "errors do not end it")
		assert.GreaterOrEqual(t, at[0], purgeEvery/2)
		assert.Equal(t, at[0], at[1])
		assert.Equal(t, at[0], at[2], "a little at a time, but all that is due")
		for i := 3; i < len(at); i++ {
			assert.GreaterOrEqual(t, at[i]-at[i-1], purgeEvery/2)
			assert.Less(t, at[i]-at[i-1], purgeEvery*3/2)
		}
		assert.Len(t, b.logs.with("the ledger could not be purged"), len(at)-4)
	})
}

func TestPurgeOfAFullChunkThatFailsIsNotRepeatedAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.db.purge = func(int) (int, error) { return 0, errPostgres }
		b.minding(t, func() error { return b.purge(b.work) }, 5*time.Minute)
		assert.LessOrEqual(t, b.db.count("Purge"), 10)
		assert.GreaterOrEqual(t, b.db.count("Purge"), 3)
	})
}

func TestSleepEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		assert.True(t, sleep(b.work, time.Hour))
		time.AfterFunc(time.Minute, func() { b.end(errStopped) })
		began := time.Now()
		assert.False(t, sleep(b.work, time.Hour))
		assert.Equal(t, time.Minute, time.Since(began))
	})
}
