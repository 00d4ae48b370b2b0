package chaos

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/stack"
)

func TestMessagesAreDecoded(t *testing.T) {
	t.Parallel()
	message := func(queue int, offset int64, body string) stack.Message {
		return stack.Message{Broker: "b", Queue: queue, Offset: offset, ID: "KEY", Body: []byte(body), Properties: map[string]string{"outbox-id": "8"}}
	}
	deliveries, err := decode([]stack.Message{
		message(0, 0, `{"event":7,"key":"a","number":3,"padding":"xxx"}`), message(0, 1, `not ours`), message(1, 0, `{"event":8}`),
	})
	require.NoError(t, err)
	assert.Equal(t, []Delivery{
		{Event: Event{7, "a", 3}, Broker: "b", UniqKey: "KEY", Row: "8"},
		{Event: Event{ID: -1}, Broker: "b", Offset: 1, UniqKey: "KEY", Row: "8"},
		{Event: Event{ID: 8}, Broker: "b", Queue: 1, UniqKey: "KEY", Row: "8"},
	}, deliveries)
	for name, offsets := range map[string][]int64{"a gap": {0, 2}, "twice": {0, 0}, "the first is not there": {1}} {
		var messages []stack.Message
		for _, offset := range offsets {
			messages = append(messages, message(0, offset, `{}`))
		}
		_, err := decode(messages)
		require.ErrorContains(t, err, "cannot be audited", name)
	}
}
