package relay

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// gone makes the broker of a bench vanish: nothing that is in doubt can be resolved.
func gone(b *bench) {
	b.mq.address = func(string) (string, bool) { return "", false }
}

// watching runs the resolver, which the bench does not.
func (b *bench) watching() {
	b.batches.Go(func() { _ = b.resolver.run(b.work) })
}

// An operator's decision is noticed without a restart: a row that was struck is read again, and a key that was blocked is free.
func TestDecisionOfAnOperatorIsNoticed(t *testing.T) {
	t.Parallel()
	for name, state := range map[string]EntryState{"struck": EntryStruck, "settled": EntrySettled} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				gone(b)
				b.doubtful(1)
				var decided atomic.Bool
				b.db.states = func(attempts []AttemptID) (EntryStates, error) {
					assert.Equal(t, []AttemptID{{1}}, attempts)
					if decided.Load() {
						return EntryStates{{1}: {state}}, nil
					}
					return EntryStates{{1}: {EntryOpen}}, nil
				}
				b.watching()
				elapse(time.Minute)
				read(b.intake)
				assert.False(t, b.intake.admit(ordered(2, "k")), "its key is blocked")
				assert.Len(t, b.doubts("b"), 1)

				decided.Store(true)
				elapse(2 * b.cfg.Renew)
				assert.Empty(t, b.doubts("b"))
				assert.Empty(t, b.resolver.ages(), "nothing alarms any more")
				_, after, exclude := b.intake.begin(b.topics, func(string) bool { return true })
				assert.Zero(t, after)
				assert.Empty(t, exclude, "what was left behind is read again")
				assert.True(t, b.intake.admit(ordered(1, "k")), "if it is still there")
				assert.Empty(t, b.db.closings(), "the relay has changed nothing")
			})
		})
	}
}

// Whoever takes a doubt out of its docket lifts it, so that a key with two doubts is not freed by one of them.
func TestDoubtIsLiftedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		gone(b)
		first, second := b.doubtful(1), b.doubtful(2)
		b.db.states = func([]AttemptID) (EntryStates, error) {
			return EntryStates{{1}: {EntryStruck}, {2}: {EntryOpen}}, nil
		}
		b.watching()
		elapse(2 * b.cfg.Renew)
		d := b.resolver.dockets["b"]
		assert.Equal(t, int64(2), b.doubts("b")[0].row)
		still, err := d.conclude(b.work, []*doubt{first, second}, nil, map[*doubt]bool{first: true})
		require.NoError(t, err)
		assert.Equal(t, []*doubt{second}, still)
		read(b.intake)
		assert.False(t, b.intake.admit(ordered(3, "k")), "row 2 is in doubt")
	})
}

// The broker came back with a message that an operator had struck: it is on the topic twice now, and the row is pending.
func TestFoundAfterItWasStruckIsABrokenPromise(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.mq.lookup = func(string, string) (bool, error) { return true, nil }
		b.db.write = func(closings []Closing, _ []*Attempt) (Written, error) {
			assert.Equal(t, []int{0}, closings[0].Settled)
			return Written{Closed: []Closed{{Broken: []int{0}}}}, nil
		}
		b.doubtful(1)
		elapse(time.Second)
		assert.Len(t, b.logs.with("broken promise"), 1)
		read(b.intake)
		assert.True(t, b.intake.admit(ordered(1, "k")), "it is read before the rows behind it")
	})
}

func TestLedgerThatCannotBeLookedAtHarmsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		gone(b)
		b.doubtful(1)
		b.db.states = func([]AttemptID) (EntryStates, error) { return nil, errPostgres }
		b.watching()
		elapse(2 * b.cfg.Renew)
		assert.Len(t, b.doubts("b"), 1)
		require.NoError(t, b.work.Err())
		assert.NotEmpty(t, b.logs.with("could not be looked at"))
	})
}

func TestStateOfAnAttemptThatTheLedgerHasForgotten(t *testing.T) {
	t.Parallel()
	states := EntryStates{{1}: {EntrySettled, EntryOpen}}
	assert.Equal(t, EntrySettled, states.Of(AttemptID{1}, 0))
	assert.Equal(t, EntryOpen, states.Of(AttemptID{1}, 1))
	assert.Equal(t, EntryStruck, states.Of(AttemptID{2}, 0), "a read shows whether its row is there")
}
