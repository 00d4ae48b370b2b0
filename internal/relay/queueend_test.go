package relay

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestQueueEndsAreRememberedForASecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		mq := newFakeBroker()
		var asked [][]TopicQueue
		offset := int64(10)
		mq.maxOffsets = func(queues []TopicQueue) ([]int64, error) {
			asked = append(asked, queues)
			offsets := make([]int64, len(queues))
			for i := range offsets {
				offset++
				offsets[i] = offset
			}
			return offsets, nil
		}
		e := newQueueEnds(mq)
		ends := func(address string, queues ...TopicQueue) []int64 {
			offsets, err := e.ends(t.Context(), address, queues)
			require.NoError(t, err)
			return offsets
		}
		one, two := TopicQueue{"t", 1}, TopicQueue{"t", 2}
		assert.Equal(t, []int64{11}, ends("a", one))
		time.Sleep(endAge - time.Millisecond)
		assert.Equal(t, []int64{12, 11}, ends("a", two, one), "only the unknown one is asked for")
		assert.Equal(t, []int64{13}, ends("b", one), "another master has ends of its own")
		time.Sleep(time.Millisecond)
		assert.Equal(t, []int64{14, 12}, ends("a", one, two), "the first has grown old")
		assert.Equal(t, [][]TopicQueue{{one}, {two}, {one}, {one}}, asked)
	})
}

func TestAgeOfAQueueEndCountsFromTheQuestion(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		mq := newFakeBroker()
		n := 0
		mq.maxOffsets = func([]TopicQueue) ([]int64, error) {
			n++
			time.Sleep(endAge)
			return []int64{5}, nil
		}
		e := newQueueEnds(mq)
		for range 2 {
			_, err := e.ends(t.Context(), "a", []TopicQueue{{"t", 0}})
			require.NoError(t, err)
		}
		assert.Equal(t, 2, n, "the answer was a second old when it came")
	})
}

func TestQueueEndThatCannotBeAskedFor(t *testing.T) {
	t.Parallel()
	mq := newFakeBroker()
	refused := errors.New("refused")
	mq.maxOffsets = func([]TopicQueue) ([]int64, error) { return nil, refused }
	e := newQueueEnds(mq)
	_, err := e.targets(t.Context(), "a", []*item{{row: *plain(1)}})
	require.ErrorIs(t, err, refused)
	require.ErrorContains(t, err, "ask a for the ends of 1 queues")
	mq.maxOffsets = nil
	targets, err := e.targets(t.Context(), "a", []*item{{row: *plain(1)}})
	require.NoError(t, err)
	assert.Len(t, targets, 1, "an error is not remembered")
}
