package relay

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// running runs a relay in a bubble and returns what Run returns.
func running(ctx context.Context, r *Relay) <-chan error {
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	return done
}

func TestRunReturnsWhatWaitingDoesNotMend(t *testing.T) {
	t.Parallel()
	r, db, _, _ := newRelay(t)
	db.bind = func(want Topic) (Topic, error) {
		want.Type = "fifo"
		return want, nil
	}
	require.ErrorIs(t, r.Run(t.Context()), ErrBinding)
	assert.Zero(t, db.count("OpenSession"))
}

func TestRunBindsBeforeItOpensASession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, db, _, _ := newRelay(t)
		ctx, cancel := context.WithCancel(t.Context())
		done := running(ctx, r)
		synctest.Wait()
		require.NotNil(t, r.State())
		cancel()
		require.NoError(t, <-done)
		assert.Equal(t, []string{"Origin", "BindTopic", "BindTopic", "OpenSession"}, db.called()[:4])
		calls := db.called()
		assert.Equal(t, "CloseSession", calls[len(calls)-1], "the lease is given back last")
		assert.Nil(t, r.State())
	})
}

func TestRunWaitsLongerAfterEachFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, db, _, logs := newRelay(t)
		var tries []time.Time
		db.open = func(context.Context, Session) error {
			tries = append(tries, time.Now())
			return errPostgres
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := running(ctx, r)
		time.Sleep(20 * time.Second)
		cancel()
		require.NoError(t, <-done)
		require.Greater(t, len(tries), 7)
		for i, nominal := range []time.Duration{100, 200, 400, 800, 1600, 3000, 3000} {
			nominal *= time.Millisecond
			assert.InDelta(t, nominal, tries[i+1].Sub(tries[i]), 0.2*float64(nominal)+1, "wait %d", i)
		}
		assert.Len(t, logs.with("session over error=open a session: "+errPostgres.Error()), len(tries))
		assert.Equal(t, len(tries), db.count("CloseSession"), "the insert may have been committed")
	})
}

func TestRunStartsOverSoonAfterASessionThatLasted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, db, _, _ := newRelay(t)
		began, broken := time.Now(), time.Time{}
		var tries []time.Time
		db.open = func(context.Context, Session) error {
			tries = append(tries, time.Now())
			if time.Since(began) < 10*time.Second {
				return errPostgres
			}
			return nil
		}
		db.renew = func(context.Context) error {
			if time.Since(tries[len(tries)-1]) > r.cfg.Lease && broken.IsZero() {
				broken = time.Now()
				return ErrSessionOver
			}
			return nil
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := running(ctx, r)
		time.Sleep(40 * time.Second)
		cancel()
		require.NoError(t, <-done)
		require.False(t, broken.IsZero())
		last := tries[len(tries)-1]
		assert.True(t, last.After(broken))
		assert.Less(t, last.Sub(broken), 150*time.Millisecond, "the failures before it are forgotten")
	})
}

func TestRunStopsWhileItWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, db, _, _ := newRelay(t)
		db.open = func(context.Context, Session) error { return errPostgres }
		ctx, cancel := context.WithCancel(t.Context())
		done := running(ctx, r)
		time.Sleep(15 * time.Second)
		cancel()
		stopped := time.Now()
		require.NoError(t, <-done)
		assert.Zero(t, time.Since(stopped))
	})
}

// A relay on fakes takes a row all the way, and stops only when that is done.
func TestRunFinishesWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, db, mq, _ := newRelay(t)
		db.free = ^uint64(0)
		db.fresh = func(q FreshQuery) ([]Row, error) {
			if q.After < 1 && len(q.Exclude) == 0 && len(db.closings()) == 0 {
				return []Row{*plain(1)}, nil
			}
			return nil, nil
		}
		mq.halves = func([]Half) []HalfAnswer { return []HalfAnswer{storedAt(1, codeOK)} }
		ctx, cancel := context.WithCancel(t.Context())
		done := running(ctx, r)
		commit := <-mq.commits
		cancel()
		time.Sleep(time.Second)
		assert.Empty(t, done, "a commit is not answered yet")
		assert.Empty(t, db.closings())
		assert.Zero(t, db.count("CloseSession"))
		commit.answer(Answer{})
		require.NoError(t, <-done)
		require.Len(t, db.closings(), 1)
		assert.True(t, db.closings()[0].All)
	})
}

// Whatever part of a session fails, the others end with it, the lease is given back, and the next session writes down what is
// known.
func TestRunCarriesWhatIsKnownToTheNextSession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, db, mq, _ := newRelay(t)
		db.free = ^uint64(0)
		db.fresh = func(q FreshQuery) ([]Row, error) {
			if q.After < 1 && len(q.Exclude) == 0 && len(db.closings()) == 0 {
				return []Row{*plain(1)}, nil
			}
			return nil, nil
		}
		mq.halves = func([]Half) []HalfAnswer { return []HalfAnswer{storedAt(1, codeOK)} }
		lost := false
		db.write = func(c []Closing, d []*Attempt) (Written, error) {
			if len(c) > 0 && !lost {
				lost = true
				return Written{}, errPostgres
			}
			return Written{Closed: make([]Closed, len(c)), Decided: []Decision{DecisionMade}[:len(d)]}, nil
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := running(ctx, r)
		(<-mq.commits).answer(Answer{})
		time.Sleep(time.Second)
		cancel()
		require.NoError(t, <-done)
		require.Len(t, db.closings(), 1)
		assert.Equal(t, db.entered[0].ID, db.closings()[0].Attempt)
		assert.Equal(t, 2, db.count("OpenSession"))
		assert.Equal(t, 2, db.count("CloseSession"))
		assert.Empty(t, mq.commits, "nothing is committed twice")
	})
}

func TestSettingsAreChecked(t *testing.T) {
	t.Parallel()
	_, err := New(Config{}, Options{})
	for _, rule := range []string{
		"Instance", "Topics", "BatchRows", "BatchBytes", "InFlight", "PollBusy", "Window", "CommitTimeout", "Renew", "Retention", "Retry",
	} {
		require.ErrorContains(t, err, rule, "every mistake at once")
	}
	for name, change := range map[string]func(*Config){
		"Window":               func(c *Config) { c.Window = 450 * time.Second },
		"whole seconds":        func(c *Config) { c.Window += time.Millisecond },
		"CommitTimeout":        func(c *Config) { c.CommitTimeout = c.Window },
		"a third of Lease":     func(c *Config) { c.Renew = c.Lease/3 + 1 },
		"AppendMargin":         func(c *Config) { c.AppendMargin = -1 },
		"mode must be":         func(c *Config) { c.Topics[0].Type = "normal" },
		"only type normal has": func(c *Config) { c.Topics[0].Mode = "async" },
		"delivery must be":     func(c *Config) { c.Topics[0].Delivery = "perhaps" },
		"type must be":         func(c *Config) { c.Topics[0].Type = "batch" },
		"SendMessages":         func(c *Config) { c.SendMessages = 0 },
		"SendBytes":            func(c *Config) { c.SendBytes = 5 << 20 },
		"at most PollIdle":     func(c *Config) { c.PollBusy = c.PollIdle + 1 },
		"Factor":               func(c *Config) { c.Retry.Factor = 0.5 },
	} {
		cfg := DefaultConfig()
		cfg.Instance, cfg.Topics = "i", []Topic{{Name: "t", Type: TypeTransaction, Delivery: ExactlyOnce}}
		require.NoError(t, cfg.Validate())
		change(&cfg)
		err := cfg.Validate()
		require.ErrorContains(t, err, name)
		assert.NotContains(t, err.Error(), "\n", "one mistake: %s", name)
	}
}
