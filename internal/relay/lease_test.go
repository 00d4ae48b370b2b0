package relay

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLeaseIsRenewedUntilTheSessionIsOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		began := time.Now()
		var at []time.Duration
		b.db.renew = func(context.Context) error {
			at = append(at, time.Since(began))
			return nil
		}
		kept := make(chan error)
		go func() { kept <- b.keepLease(b.work) }()
		time.Sleep(10 * time.Second)
		b.end(errStopped)
		require.NoError(t, <-kept)
		assert.Equal(t, []time.Duration{0, 3 * time.Second, 6 * time.Second, 9 * time.Second}, at)
	})
}

func TestLeaseAge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		assert.Zero(t, b.LeaseAge(), "there is no session")
		require.NoError(t, b.renew(b.work))
		b.current.Store(&State{Session: b.id})
		time.Sleep(4 * time.Second)
		assert.Equal(t, 4*time.Second, b.LeaseAge())
		b.db.renew = func(context.Context) error { return errPostgres }
		require.Error(t, b.renew(b.work))
		assert.Equal(t, 4*time.Second, b.LeaseAge(), "a renewal that failed renews nothing")
	})
}

func TestRenewalThatFailsEndsTheSession(t *testing.T) {
	t.Parallel()
	for name, renewal := range map[string]error{"lease gone": ErrSessionOver, "outcome unknown": errPostgres} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.db.renew = func(context.Context) error { return renewal }
			err := b.keepLease(b.work)
			require.ErrorIs(t, err, renewal)
			require.ErrorContains(t, err, "renew the lease")
			assert.Equal(t, 1, b.db.count("RenewSession"), "it is not tried again: others may have the shards")
		})
	}
}

func TestRenewalThatHangsEndsTheSessionBeforeTheLeaseRunsOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		began := time.Now()
		b.db.renew = func(ctx context.Context) error {
			if time.Since(began) < time.Second {
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		}
		require.ErrorIs(t, b.keepLease(b.work), context.DeadlineExceeded)
		assert.LessOrEqual(t, time.Since(began), b.cfg.Lease, "the lease was last renewed at 0 s")
	})
}

func TestRenewalFreesTheKeysOfVanishedRows(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	require.NoError(t, b.renew(b.work))
	assert.Zero(t, b.db.count("StillThere"), "nothing is held")
	b.intake.hold(ordered(1, "dead"), true)
	b.intake.hold(ordered(2, "vanished"), true)
	b.intake.own(1, nil, []*doubt{{key: Key{"t", "doubt"}, row: 3}})
	b.db.there = func(rows []int64) ([]int64, error) {
		assert.ElementsMatch(t, []int64{1, 2}, rows, "what is in doubt is the resolver's")
		return []int64{1}, nil
	}
	require.NoError(t, b.renew(b.work))
	read(b.intake)
	assert.False(t, b.intake.admit(ordered(11, "dead")))
	assert.True(t, b.intake.admit(ordered(12, "vanished")))
	assert.False(t, b.intake.admit(ordered(13, "doubt")))
	b.db.there = func([]int64) ([]int64, error) { return nil, errPostgres }
	require.ErrorIs(t, b.renew(b.work), errPostgres)
	read(b.intake)
	assert.False(t, b.intake.admit(ordered(11, "dead")), "an error says nothing about the row")
}

func TestOpenInsertsTheLease(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *Config) { c.Instance, c.ClientID, c.Version = "i", "c", "v" })
	var opened Session
	b.db.open = func(ctx context.Context, s Session) error {
		_, bounded := ctx.Deadline()
		assert.True(t, bounded)
		opened = s
		return nil
	}
	require.NoError(t, b.open(t.Context()))
	assert.Equal(t, Session{ID: b.id, Instance: "i", ClientID: "c", Version: "v"}, opened)
	b.db.open = func(context.Context, Session) error { return errPostgres }
	require.ErrorIs(t, b.open(t.Context()), errPostgres)
}

func TestLeaseIsGivenBackAfterTheEnd(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.end(errPostgres)
	b.db.leave = func(ctx context.Context) error {
		_, bounded := ctx.Deadline()
		assert.True(t, bounded)
		return ctx.Err()
	}
	b.leave()
	assert.Equal(t, 1, b.db.count("CloseSession"))
	assert.Empty(t, b.logs.with("could not be deleted"), "the call has a context that lives")
	b.db.leave = func(context.Context) error { return errPostgres }
	b.leave()
	assert.Len(t, b.logs.with("could not be deleted"), 1)
}
