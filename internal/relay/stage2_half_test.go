package relay

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestHalvesOfABatchShareTheirAttempt(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.mq.maxOffsets = func([]TopicQueue) ([]int64, error) { return []int64{70, 80}, nil }
	made := b.taken(plain(1), of("u", ordered(2, "k")), plain(3))
	require.True(t, made.sendHalves())
	require.Len(t, b.mq.sent, 3)
	for i, half := range b.mq.sent {
		assert.Equal(t, made.attempt.ID.UniqKey(i), half.UniqKey)
		assert.Equal(t, made.attempt.Born, half.Born)
		assert.Zero(t, half.Born.Nanosecond()%int(time.Millisecond))
		assert.Equal(t, b.cfg.Window, half.Immunity)
	}
	assert.Equal(t, "b:10911", made.attempt.Address)
	assert.Equal(t, []Target{{"t", 0, 70}, {"u", 0, 80}}, made.attempt.Targets)
	assert.Equal(t, []int{0, 1, 0}, []int{made.items[0].target, made.items[1].target, made.items[2].target})
}

func TestThrottleCountsHalvesUntilTheyAreAnswered(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	made := b.taken(plain(1), plain(2))
	b.throttle.add("b", 2)
	under := 0
	b.mq.halves = func(halves []Half) []HalfAnswer {
		under = b.throttle.of("b").under
		return []HalfAnswer{storedAt(1, codeOK), {Answer: Answer{Code: codeMessageIllegal}}}
	}
	require.True(t, made.sendHalves())
	assert.Equal(t, 2, under)
	assert.Zero(t, b.throttle.of("b").under, "also for those that did not get through")
}

func TestRowThatBreaksARuleIsBuriedUnsent(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		bad, next *Row
		free      bool
	}{
		"blocks its key": {&Row{ID: 2, Topic: "t", OrderingKey: "k"}, ordered(3, "k"), false},
		"skipped":        {&Row{ID: 2, Topic: "u", OrderingKey: "k"}, of("u", ordered(3, "k")), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.intake.advance(100, 100)
			made := b.taken(tt.bad, tt.next, plain(4))
			require.True(t, made.sendHalves())
			require.Len(t, b.db.dead, 1)
			assert.EqualValues(t, 2, b.db.dead[0].Row)
			assert.Equal(t, ReasonBodyEmpty, b.db.dead[0].Reason)
			assert.NotContains(t, ids(made.items), int64(2))
			assert.Contains(t, ids(made.items), int64(4))
			for _, half := range b.mq.sent {
				assert.NotEmpty(t, half.Body, "the bad row was sent")
			}
			for _, it := range made.items {
				if it.row.ID == 3 {
					t.Error("3 goes on in the batch in which 2 failed")
				}
			}
			read(b.intake)
			read(b.intake)
			assert.Equal(t, tt.free, b.intake.admit(tt.next))
		})
	}
}

func TestBadRowBehindAnotherIsNotBuriedYet(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.intake.advance(100, 100)
	b.taken(ordered(1, "k"))
	made := b.taken(&Row{ID: 2, Topic: "t", OrderingKey: "k"})
	assert.False(t, made.sendHalves())
	assert.Empty(t, b.db.dead, "1 may fail yet, and would find its key blocked by a later row")
	assert.Empty(t, b.mq.sent)
	assert.Equal(t, []int64{2}, b.again(2))
}

func TestBatchWithoutABrokerIsGivenBack(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*fakeBroker){
		"no address": func(f *fakeBroker) { f.address = func(string) (string, bool) { return "", false } },
		"no queue ends": func(f *fakeBroker) {
			f.maxOffsets = func([]TopicQueue) ([]int64, error) { return nil, errors.New("reset") }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.intake.advance(100, 100)
			change(b.mq)
			made := b.taken(ordered(1, "k"), plain(2))
			b.throttle.add("b", 2)
			made.run()
			assert.Empty(t, b.mq.sent)
			assert.Zero(t, b.throttle.of("b").under)
			assert.Equal(t, []int64{1, 2}, b.again(1, 2))
			assert.True(t, b.intake.admit(ordered(1, "k")))
			assert.Zero(t, b.db.count("Write"))
			select {
			case <-made.decided:
			default:
				t.Error("batches behind this one wait for ever")
			}
		})
	}
}

func TestProbeOfABatchThatIsGivenBackIsWithdrawn(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *Config) { c.Retry = Backoff{Initial: 1, Factor: 1, Max: 1} })
	b.pauses.add("b", "t", ReasonBusy)
	require.True(t, b.pauses.admit("b", "t"))
	b.mq.address = func(string) (string, bool) { return "", false }
	b.taken(plain(1)).run()
	assert.True(t, b.pauses.admit("b", "t"), "the probe never left: another one may")
}
