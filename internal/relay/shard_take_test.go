package relay

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// shardsNow returns the shards of which the next read takes rows.
func (b *bench) shardsNow() uint64 {
	shards, _, _ := b.intake.begin(nil, nil)
	return shards
}

// newcomer is a session that owns nothing yet.
func newcomer(t *testing.T) *bench {
	t.Helper()
	b := newBench(t)
	b.intake = newIntake()
	return b
}

func TestShardsAreLoadedBetweenTakingAndReading(t *testing.T) {
	t.Parallel()
	b := newcomer(t)
	b.db.attempts = func(shards uint64) ([]OpenAttempt, error) {
		assert.EqualValues(t, 0b101, shards)
		assert.Zero(t, b.shardsNow(), "rows would be read that are in doubt")
		return nil, nil
	}
	b.db.blocked = func(shards uint64) ([]BlockedKey, error) {
		assert.EqualValues(t, 0b101, shards)
		assert.Zero(t, b.shardsNow(), "rows would be read whose keys are blocked")
		return []BlockedKey{{Key: Key{"t", "dead"}, Row: 3, Dead: true}, {Key: Key{"t", "off"}, Row: 4}}, nil
	}
	b.db.take = func(uint64) (uint64, error) { return 0b101, nil } // somebody else was quicker with the others
	require.NoError(t, b.takeShards(b.work, 0b111))
	assert.Equal(t, []string{"TakeShards", "OpenAttempts", "BlockedKeys"}, b.db.called())
	assert.EqualValues(t, 0b101, b.shardsNow())
	assert.Equal(t, &State{Session: b.id, Shards: 0b101}, b.State())
	for _, key := range []string{"dead", "off"} {
		assert.False(t, b.intake.admit(ordered(9, key)), key)
	}
	assert.True(t, b.intake.admit(ordered(9, "free")))
	assert.Len(t, b.logs.with("shards taken shards=2 in_doubt=0 blocked_keys=2"), 1)
}

func TestOnlyNewShardsAreLoaded(t *testing.T) {
	t.Parallel()
	b := newcomer(t)
	b.db.take = func(uint64) (uint64, error) { return 0b1, nil }
	require.NoError(t, b.takeShards(b.work, 0b1))
	require.NoError(t, b.takeShards(b.work, 0b10)) // another relay has them by now
	assert.Equal(t, 1, b.db.count("OpenAttempts"))
	b.db.take = func(uint64) (uint64, error) { return 0b11, nil }
	b.db.attempts = func(shards uint64) ([]OpenAttempt, error) {
		assert.EqualValues(t, 0b10, shards, "the first shard's attempts are this session's own business")
		return nil, nil
	}
	require.NoError(t, b.takeShards(b.work, 0b10))
	assert.EqualValues(t, 0b11, b.shardsNow())
	assert.EqualValues(t, 0b11, b.State().Shards)
}

func TestNothingIsReadOfShardsThatCouldNotBeLoaded(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*fakeStore){
		"take shards":        func(f *fakeStore) { f.take = func(uint64) (uint64, error) { return 0b1, errPostgres } },
		"load open attempts": func(f *fakeStore) { f.attempts = func(uint64) ([]OpenAttempt, error) { return nil, errPostgres } },
		"load blocked keys":  func(f *fakeStore) { f.blocked = func(uint64) ([]BlockedKey, error) { return nil, errPostgres } },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newcomer(t)
			change(b.db)
			err := b.takeShards(b.work, 0b1)
			require.ErrorIs(t, err, errPostgres)
			require.ErrorContains(t, err, name)
			assert.Zero(t, b.shardsNow())
			assert.Nil(t, b.State())
		})
	}
}

func TestInheritedDoubts(t *testing.T) {
	t.Parallel()
	b := newcomer(t)
	b.unresolved()
	born := time.Now().Add(-time.Hour).Truncate(time.Millisecond)
	attempt := Attempt{
		Way: WayHalf,
		ID:  AttemptID{1, 2, 3}, Broker: "away", Born: born, Window: 7 * time.Second,
		Targets: []Target{{"t", 1, 50}, {"u", 2, 60}},
		Entries: []Entry{
			{Index: 4, Row: 14, Target: 0, HalfOffset: 104, LogOffset: 204, OrderingKey: "k"},
			{Index: 6, Row: 16, Target: 1, HalfOffset: 106, LogOffset: 206},
		},
	}
	b.db.attempts = func(uint64) ([]OpenAttempt, error) {
		return []OpenAttempt{{Attempt: attempt, Positions: []int{3, 5}, Age: 3 * time.Second, Refused: time.Second, RefusedBy: "b:1"}}, nil
	}
	require.NoError(t, b.takeShards(b.work, 1))
	open := b.doubts("away")
	require.Len(t, open, 2)
	for i := range open {
		assert.WithinDuration(t, time.Now(), open[i].since, time.Minute, "in doubt since this session knows of it")
		assert.Equal(t, 4*time.Second, open[i].over.Sub(open[i].since), "what is left of its window since the decision, whatever the clocks say")
		assert.Equal(t, time.Second, open[i].since.Sub(open[i].fenced), "what another relay has waited of the margin counts")
		open[i].since, open[i].over, open[i].fenced, open[i].looked = time.Time{}, time.Time{}, time.Time{}, false
	}
	assert.Equal(t, []doubt{
		{
			attempt: attempt.ID, position: 3, row: 14, key: Key{"t", "k"}, broker: "away", fencedBy: "b:1",
			queue: TopicQueue{"t", 1}, readFrom: 50, half: StoredHalf{"t", attempt.ID.UniqKey(4), 104, 204},
		},
		{
			attempt: attempt.ID, position: 5, row: 16, broker: "away", fencedBy: "b:1",
			queue: TopicQueue{"u", 2}, readFrom: 60, half: StoredHalf{"u", attempt.ID.UniqKey(6), 106, 206},
		},
	}, open)
	b.shardsNow()
	assert.False(t, b.intake.admit(ordered(14, "k")), "in doubt itself")
	assert.False(t, b.intake.admit(ordered(15, "k")), "behind it")
	assert.False(t, b.intake.admit(of("u", plain(16))), "in doubt itself")
	assert.True(t, b.intake.admit(plain(17)))
	assert.True(t, b.intake.admit(of("u", ordered(18, "k"))), "the same key of another topic")
}
