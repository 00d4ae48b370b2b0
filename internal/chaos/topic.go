package chaos

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/outbox-relay/outbox-relay/internal/stack"
)

// topicReader reads the topic itself, from the brokers and not through what the relays connect through.
type topicReader struct {
	masters []*stack.Broker
	ends    [][]int64 // for each span that is over: where each queue ended, master after master
}

// mark notes where the queues end now: what lies before was delivered in this span or an earlier one.
func (t *topicReader) mark(ctx context.Context) error {
	ends, err := t.now(ctx)
	t.ends = append(t.ends, ends)
	return err
}

// now returns where the queues end.
func (t *topicReader) now(ctx context.Context) ([]int64, error) {
	var all []int64
	for _, m := range t.masters {
		ends, err := stack.QueueEnds(ctx, m.Addr, topic, queues)
		if err != nil {
			return nil, fmt.Errorf("read the ends of the queues of %s: %w", m.Name, err)
		}
		all = append(all, ends...)
	}
	return all, nil
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
	var all []Delivery
	for n, m := range t.masters {
		messages, err := stack.ReadMaster(ctx, m.Addr, m.Name, topic, queues)
		if err != nil {
			return nil, fmt.Errorf("read the topic: %w", err)
		}
		deliveries, err := decode(messages)
		if err != nil {
			return nil, err
		}
		for i := range deliveries {
			deliveries[i].Span = t.span(n*queues+deliveries[i].Queue, deliveries[i].Offset)
		}
		all = append(all, deliveries...)
	}
	return all, nil
}

// decode makes deliveries of the messages of one master. An offset that is not there would be a message that nobody audits.
func decode(messages []stack.Message) ([]Delivery, error) {
	next := make(map[int]int64)
	deliveries := make([]Delivery, len(messages))
	for i, m := range messages {
		if m.Offset != next[m.Queue] {
			return nil, fmt.Errorf("queue %d of the topic on %s goes from offset %d to %d: it cannot be audited", m.Queue, m.Broker, next[m.Queue]-1, m.Offset)
		}
		next[m.Queue]++
		d := Delivery{Broker: m.Broker, Queue: m.Queue, Offset: m.Offset, UniqKey: m.ID, Row: m.Properties["outbox-id"]}
		if err := json.Unmarshal(m.Body, &d.Event); err != nil {
			d.Event = Event{ID: -1} // nobody's
		}
		deliveries[i] = d
	}
	return deliveries, nil
}
