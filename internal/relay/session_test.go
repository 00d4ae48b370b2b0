package relay

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAnyPartThatFailsEndsTheWholeSession(t *testing.T) {
	t.Parallel()
	for part, change := range map[string]func(*fakeStore){
		"lease: renew the lease":      func(f *fakeStore) { f.renew = func(context.Context) error { return errPostgres } },
		"shards: look how the shards": func(f *fakeStore) { f.standing = func() (Standing, error) { return Standing{}, errPostgres } },
		"shards: load blocked keys":   func(f *fakeStore) { f.blocked = func(uint64) ([]BlockedKey, error) { return nil, errPostgres } },
		"reader: read the outbox":     func(f *fakeStore) { f.fresh = func(FreshQuery) ([]Row, error) { return nil, errPostgres } },
		"ledger: write 0 closings": func(f *fakeStore) {
			f.write = func([]Closing, []*Attempt) (Written, error) { return Written{}, errPostgres }
		},
		"settle an attempt of 1":     failingSettle,
		"put off 1 rows":             func(f *fakeStore) { f.putOff = func([]Failure) error { return errPostgres } },
		"look for rows that block a": failingWatch,
	} {
		t.Run(part, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r, db, mq, _ := newRelay(t)
				require.NoError(t, r.begin(t.Context()))
				db.free = 1
				db.fresh = func(q FreshQuery) ([]Row, error) {
					if q.After < 1 && len(q.Exclude) == 0 {
						return []Row{*ordered(1, "k")}, nil
					}
					return nil, nil
				}
				code := codeOK
				if part == "put off 1 rows" || part == "look for rows that block a" {
					code = codeFlushDiskTimeout
				}
				mq.halves = func([]Half) []HalfAnswer { return []HalfAnswer{storedAt(1, code)} }
				mq.commit = func(int64) Answer { return Answer{} }
				change(db)
				began := time.Now()
				err := r.live(t.Context())
				require.ErrorIs(t, err, errPostgres)
				if part != "ledger: write 0 closings" && part != "settle an attempt of 1" { // the ledger and the batch both say it
					require.ErrorContains(t, err, part[len(part)-10:])
				}
				assert.Less(t, time.Since(began), time.Minute)
				assert.Equal(t, 1, db.count("CloseSession"))
				assert.Nil(t, r.State())
			})
		})
	}
}

func failingSettle(f *fakeStore) {
	f.write = func(c []Closing, d []*Attempt) (Written, error) {
		if len(c) > 0 {
			return Written{}, errPostgres
		}
		return Written{Decided: []Decision{DecisionMade}[:len(d)]}, nil
	}
}

func failingWatch(f *fakeStore) {
	f.there = func([]int64) ([]int64, error) { return nil, errPostgres }
}

// A session that ends does not wait for the window, only for the answers that are still to come.
func TestSessionThatEndsWaitsForAnswers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, db, mq, _ := newRelay(t)
		require.NoError(t, r.begin(t.Context()))
		broken := make(chan struct{})
		db.free = 1
		db.renew = func(context.Context) error {
			select {
			case <-broken:
				return ErrSessionOver
			default:
				return nil
			}
		}
		db.fresh = func(q FreshQuery) ([]Row, error) {
			if q.After < 1 && len(q.Exclude) == 0 {
				return []Row{*plain(1)}, nil
			}
			return nil, nil
		}
		mq.halves = func([]Half) []HalfAnswer { return []HalfAnswer{storedAt(1, codeOK)} }
		done := make(chan error, 1)
		go func() { done <- r.live(t.Context()) }()
		commit := <-mq.commits
		close(broken)
		elapse(4 * time.Second)
		assert.Empty(t, done, "the answer to the commit is worth having")
		assert.Zero(t, db.count("CloseSession"), "nobody else resolves it meanwhile")
		commit.answer(Answer{})
		require.ErrorIs(t, <-done, ErrSessionOver)
		r.carriedMu.Lock()
		defer r.carriedMu.Unlock()
		assert.Equal(t, []Closing{{Attempt: db.entered[0].ID, All: true}}, r.carried, "what is known is written by the next session")
		assert.Empty(t, db.closings())
	})
}

func TestSlotsBoundTheBatchesUnderWay(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *Config) { c.InFlight = 2 })
	for range 3 { // one is the reader's
		assert.True(t, b.slot(t.Context()))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	assert.False(t, b.slot(ctx), "the relay is stopping")
	b.unslot()
	assert.True(t, b.slot(t.Context()))
	b.end(ErrSessionOver)
	assert.False(t, b.slot(t.Context()), "the session is over")
}

func TestSessionOutlivesTheContextThatStopsTheRelay(t *testing.T) {
	t.Parallel()
	r, _, _, _ := newRelay(t)
	ctx, cancel := context.WithCancel(t.Context())
	s := r.newSession(ctx)
	cancel()
	require.NoError(t, s.work.Err(), "what is under way is finished")
	s.end(errStopped)
	require.ErrorIs(t, context.Cause(s.work), errStopped)
	assert.NotEqual(t, s.id, r.newSession(t.Context()).id)
}
