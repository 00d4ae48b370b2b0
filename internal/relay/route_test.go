package relay

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
)

// A key that moved to another queue would overtake itself: these values must never change.
func TestQueueIndexIsFixed(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]int{"customer-1": 7, "customer-2": 2, "": 5, "日本": 1} {
		assert.Equal(t, want, queueIndex(key, 8), key)
	}
}

func TestQueueIndexSpreads(t *testing.T) {
	t.Parallel()
	counts := make([]int, 8)
	for i := range 8000 {
		counts[queueIndex("customer-"+strconv.Itoa(i), 8)]++
	}
	for q, n := range counts {
		assert.Greater(t, n, 700, "queue %d", q)
	}
}
