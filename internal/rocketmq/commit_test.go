package rocketmq

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHalfIsInvisibleUntilCommitted(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	h := b.store(b.half())
	b.caughtUp()
	require.Empty(t, b.keys(0))

	a := b.commit(h)
	require.NoError(t, a.Err)
	require.Zero(t, a.Code)
	require.Positive(t, a.Took)
	b.caughtUp()
	require.Equal(t, []string{h.UniqKey}, b.keys(0))
}
