package relay

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDecisionMade(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	own := &Row{ID: 3, Shard: 9, Topic: "t", OrderingKey: "k", DedupKey: "own", Payload: []byte("x")}
	made := b.built(t, plain(1), plain(2), own)
	made.sort([]HalfAnswer{{Answer: Answer{Code: codeMessageIllegal}}, storedAt(2, codeOK), storedAt(3, codeOK)})
	require.True(t, made.decide())
	require.Len(t, b.db.entered, 1)
	assert.Same(t, made.attempt, b.db.entered[0])
	assert.Equal(t, []Entry{
		{Index: 1, Row: 2, HalfOffset: 1002, LogOffset: 2},
		{Index: 2, Row: 3, Shard: 9, HalfOffset: 1003, LogOffset: 3, OrderingKey: "k", DedupKey: "own"},
	}, made.attempt.Entries, "the index stays that of the UNIQ_KEY")
	assert.Equal(t, []int{0, 1}, positions(made.items))
	assert.Empty(t, b.mq.commits, "deciding commits nothing")
	<-made.decided
}

func TestDecisionNotMade(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		decision Decision
		cause    error
	}{
		"row gone": {DecisionRowGone, nil},
		"no lease": {DecisionNoLease, ErrSessionOver},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.intake.advance(100, 100)
			b.db.write = func([]Closing, []*Attempt) (Written, error) { return Written{Decided: []Decision{tt.decision}}, nil }
			made, behind := b.stored(t, ordered(1, "k"), plain(2)), b.stored(t, ordered(3, "k"))
			assert.False(t, made.decide())
			assert.Empty(t, made.items)
			assert.Equal(t, []int64{1, 2}, b.mq.forgot())
			assert.Empty(t, b.mq.commits)
			assert.Empty(t, b.carriedNow(), "nothing is in the ledger")
			assert.Equal(t, []int64{1, 2}, b.again(1, 2))
			assert.False(t, b.intake.mayDecide(behind.items[0]), "3 would overtake 1")
			assert.Equal(t, tt.cause, context.Cause(b.work))
		})
	}
}

func TestDecisionUnknown(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.intake.advance(100, 100)
	b.db.write = func([]Closing, []*Attempt) (Written, error) { return Written{}, errPostgres }
	made := b.stored(t, ordered(1, "k"), plain(2))
	assert.False(t, made.decide())
	assert.Empty(t, b.mq.commits)
	assert.Empty(t, b.mq.forgot(), "a rollback is no harm, but it is the next session that knows")
	require.ErrorIs(t, context.Cause(b.work), errPostgres)
	assert.Equal(t, []Closing{{Attempt: made.attempt.ID, Struck: []int{0, 1}}}, b.carriedNow(), "what was never committed may be struck")
	assert.Empty(t, b.again(1, 2), "the rows are not sent again by this session")
}

func TestDecisionWaitsForEarlierBatchesOfTheKey(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		first, second := b.stored(t, ordered(1, "k")), b.stored(t, ordered(2, "k"))
		other := b.stored(t, ordered(3, "other"))
		result := make(chan bool)
		go func() { result <- second.decide() }()
		synctest.Wait()
		assert.Zero(t, b.db.count("Write"), "1 may fail yet")
		assert.True(t, other.decide(), "another key does not wait")
		require.True(t, first.decide())
		assert.True(t, <-result)
		require.Len(t, b.db.entered, 3)
		assert.Equal(t, []AttemptID{other.attempt.ID, first.attempt.ID, second.attempt.ID},
			[]AttemptID{b.db.entered[0].ID, b.db.entered[1].ID, b.db.entered[2].ID})
	})
}

func TestDecisionDropsWhatAnEarlierBatchLeftBehind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.intake.advance(100, 100)
		first := b.built(t, ordered(1, "k"))
		second := b.stored(t, ordered(2, "k"), plain(3))
		result := make(chan bool)
		go func() { result <- second.decide() }()
		synctest.Wait()
		first.sort([]HalfAnswer{sortAnswers["lost"]})
		first.pass()
		assert.True(t, <-result)
		assert.Equal(t, []int64{3}, ids(second.items))
		require.Len(t, b.db.entered, 1)
		require.Len(t, b.db.entered[0].Entries, 1)
		assert.EqualValues(t, 3, b.db.entered[0].Entries[0].Row)
		assert.Equal(t, []int64{2}, b.mq.forgot())
		assert.Equal(t, []int64{1, 2}, b.again(1, 2))
	})
}

func TestBatchOfWhichNothingIsLeftIsNotDecided(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	first, second := b.stored(t, ordered(1, "k")), b.stored(t, ordered(2, "k"))
	first.giveUp()
	first.pass()
	assert.False(t, second.decide())
	assert.Zero(t, b.db.count("Write"))
	assert.Equal(t, []int64{1, 2}, b.mq.forgot())
}

func TestDecisionStopsWaitingWhenTheSessionIsOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.stored(t, ordered(1, "k"))
		second := b.stored(t, ordered(2, "k"))
		result := make(chan bool)
		go func() { result <- second.decide() }()
		time.Sleep(time.Minute)
		assert.Empty(t, result)
		b.end(ErrSessionOver)
		assert.False(t, <-result)
		assert.Empty(t, b.db.entered)
		assert.Empty(t, b.mq.commits)
		require.ErrorIs(t, context.Cause(b.work), ErrSessionOver)
	})
}
