package relay

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestWatermark(t *testing.T) {
	t.Parallel()
	var w watermark
	w.observe(Decided{Allocated: 10})
	assert.EqualValues(t, 10, w.upTo, "nobody inserts")
	w.observe(Decided{Allocated: 20, Writers: []string{"3/7", "4/1"}})
	assert.EqualValues(t, 10, w.upTo, "both may still commit an id up to 20")
	w.observe(Decided{Allocated: 30, Writers: []string{"4/1", "5/5"}})
	assert.EqualValues(t, 10, w.upTo, "one of them still may")
	w.observe(Decided{Allocated: 40, Writers: []string{"5/5", "4/2"}})
	assert.EqualValues(t, 20, w.upTo, "the same backend is in its next transaction")
	w.observe(Decided{Allocated: 50, Writers: []string{"9/9"}})
	assert.EqualValues(t, 40, w.upTo, "the sample at 40 was waited for next")
	w.observe(Decided{Allocated: 60})
	assert.EqualValues(t, 60, w.upTo)
}
