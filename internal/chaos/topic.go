package chaos

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/outbox-relay/outbox-relay/internal/stack"
)

// topicReader reads the topic itself, from the broker and not through what the relays connect through.
type topicReader struct {
	addr, broker string
	ends         [][]int64 // for each span that is over: where each queue ended
}

// mark notes where the queues end now: what lies before was delivered in this span or an earlier one.
func (t *topicReader) mark(ctx context.Context) error {
	ends, err := t.now(ctx)
	t.ends = append(t.ends, ends)
	return err
}

// now returns where the queues end.
func (t *topicReader) now(ctx context.Context) ([]int64, error) {
	ends, err := stack.QueueEnds(ctx, t.addr, topic, queues)
	if err != nil {
		return nil, fmt.Errorf("read the ends of the queues: %w", err)
	}
	return ends, nil
}

// span is the one in which the message of a queue was delivered.
func (t *topicReader) span(queue int, offset int64) int {
	for span, ends := range t.ends {
		if offset < ends[queue] {
			return span
		}
	}
	return len(t.ends)
}

// read reads every queue from its first offset to its last.
func (t *topicReader) read(ctx context.Context) ([]Delivery, error) {
	messages, err := stack.ReadMaster(ctx, t.addr, t.broker, topic, queues)
	if err != nil {
		return nil, fmt.Errorf("read the topic: %w", err)
	}
	next := make([]int64, queues)
	deliveries := make([]Delivery, len(messages))
	for i, m := range messages {
		if m.Offset != next[m.Queue] {
			return nil, fmt.Errorf("queue %d of the topic goes from offset %d to %d: it cannot be audited", m.Queue, next[m.Queue]-1, m.Offset)
		}
		next[m.Queue]++
		d := Delivery{Broker: m.Broker, Queue: m.Queue, Offset: m.Offset, UniqKey: m.ID, Row: m.Properties["outbox-id"]}
		if err := json.Unmarshal(m.Body, &d.Event); err != nil {
			d.Event = Event{ID: -1} // nobody's
		}
		d.Span = t.span(m.Queue, m.Offset)
		deliveries[i] = d
	}
	return deliveries, nil
}
