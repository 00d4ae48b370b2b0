package relay

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestBackoffFollowsTheDocumentedCurve(t *testing.T) {
	t.Parallel()
	b := DefaultBackoff()
	b.Jitter = 0
	assert.Equal(t, time.Second, b.Wait(0))
	assert.Equal(t, 1600*time.Millisecond, b.Wait(1))
	assert.Equal(t, 2560*time.Millisecond, b.Wait(2))
	assert.Equal(t, 120*time.Second, b.Wait(30_000), "an attempts column at its limit")
}

func TestBackoffStaysWithinItsJitter(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := DefaultBackoff()
		n := rapid.IntRange(0, 32767).Draw(t, "failures")
		b.Jitter = 0
		middle := b.Wait(n)
		b.Jitter = 0.2
		wait := b.Wait(n)
		assert.GreaterOrEqual(t, wait, middle*79/100)
		assert.LessOrEqual(t, wait, middle*121/100)
	})
}

func TestConfigReportsEveryMistake(t *testing.T) {
	t.Parallel()
	err := Config{}.Validate()
	for _, name := range []string{"Instance", "Topics", "BatchRows", "BatchBytes", "InFlight", "PollBusy", "Window", "CommitTimeout", "Renew", "Retention", "Retry"} {
		require.ErrorContains(t, err, name)
	}
	good := DefaultConfig()
	good.Instance, good.Topics = "i", []Topic{{Name: "t", Type: TypeTransaction, Delivery: ExactlyOnce}}
	require.NoError(t, good.Validate())
	good.Topics[0].Type = "fifo"
	assert.ErrorContains(t, good.Validate(), "only type transaction can be delivered to exactly once")
}

// The number of failures comes from a column that anybody can write to.
func TestBackoffOfImpossibleCounts(t *testing.T) {
	t.Parallel()
	b := DefaultBackoff()
	b.Jitter = 0
	assert.Equal(t, b.Initial, b.Wait(-32768))
	assert.Equal(t, b.Max, b.Wait(32767))
}
