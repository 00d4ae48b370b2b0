package relay

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestWhatATopicRefuses(t *testing.T) {
	t.Parallel()
	kinds := map[string]Topic{
		"transaction": {Type: TypeTransaction}, "normal": {Type: TypeNormal, Mode: ModeAsync}, "fifo": {Type: TypeFIFO}, "delay": {Type: TypeDelay},
	}
	for _, tt := range []struct {
		kind          string
		keyed, timed  bool
		refusedSaying string
	}{
		{"transaction", false, false, ""},
		{"transaction", true, false, ""},
		{"transaction", false, true, "is lost by the broker"},
		{"normal", false, false, ""},
		{"normal", true, false, "no order"},
		{"normal", false, true, "use one of type delay"},
		{"fifo", true, false, ""},
		{"fifo", false, false, "ordering_key is not set"},
		{"fifo", true, true, "use one of type delay"},
		{"delay", false, true, ""},
		{"delay", false, false, "deliver_at is not set"},
		{"delay", true, true, "no order"},
	} {
		row := plain(1)
		if tt.keyed {
			row.OrderingKey = "k"
		}
		if tt.timed {
			row.DeliverAt = time.Now()
		}
		rule := kinds[tt.kind].refuse(row)
		if tt.refusedSaying == "" {
			assert.Empty(t, rule, "%+v", tt)
		} else {
			assert.Contains(t, rule, tt.refusedSaying, "%+v", tt)
		}
	}
}

func TestWaysOfTopics(t *testing.T) {
	t.Parallel()
	assert.Equal(t, WayHalf, Topic{Type: TypeTransaction}.Way())
	assert.Equal(t, WaySend, Topic{Type: TypeNormal, Mode: ModeSync}.Way())
	assert.Equal(t, WayOneway, Topic{Type: TypeNormal, Mode: ModeOneway}.Way())
	assert.Equal(t, WaySend, Topic{Type: TypeFIFO}.Way())
	assert.False(t, Topic{Type: TypeTransaction, Delivery: AtLeastOnce}.Exact())
	assert.True(t, Topic{Type: TypeTransaction, Delivery: ExactlyOnce}.Exact())
}
