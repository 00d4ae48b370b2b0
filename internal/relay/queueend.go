package relay

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// endAge is how old the known end of a queue may be when it is written into the ledger. An older one is as right, only the
// resolver's reading gets longer.
const endAge = time.Second

// queueEnds remembers the ends of queues, so that not every batch has to ask.
type queueEnds struct {
	broker Broker
	mu     sync.Mutex
	known  map[queueKey]queueEnd
}

type queueKey struct {
	address string
	queue   TopicQueue
}

type queueEnd struct {
	offset int64
	at     time.Time
}

func newQueueEnds(b Broker) *queueEnds {
	return &queueEnds{broker: b, known: make(map[queueKey]queueEnd)}
}

// targets returns the queues that the items go to, or are kept on until they are due, each with its end, and notes in each item
// which is its own.
func (e *queueEnds) targets(ctx context.Context, address string, items []*item) ([]Target, error) {
	var queues []TopicQueue
	position := make(map[TopicQueue]int, 8)
	for _, it := range items {
		q := TopicQueue{Topic: it.row.Topic, Queue: it.queue.ID}
		i, ok := position[q]
		if !ok {
			i = len(queues)
			position[q], queues = i, append(queues, q)
		}
		it.target = i
		if _, ok := position[it.kept]; !ok && it.kept.Topic != "" {
			position[it.kept], queues = len(queues), append(queues, it.kept)
		}
	}
	offsets, err := e.ends(ctx, address, queues)
	if err != nil {
		return nil, err
	}
	targets := make([]Target, len(queues))
	for i, q := range queues {
		targets[i] = Target{Topic: q.Topic, Queue: q.Queue, ReadFrom: offsets[i]}
	}
	return targets, nil
}

func (e *queueEnds) ends(ctx context.Context, address string, queues []TopicQueue) ([]int64, error) {
	offsets := make([]int64, len(queues))
	var old []TopicQueue
	var oldAt []int
	asked := time.Now()
	e.mu.Lock()
	for i, q := range queues {
		end, ok := e.known[queueKey{address, q}]
		if ok && asked.Sub(end.at) < endAge {
			offsets[i] = end.offset
		} else {
			old, oldAt = append(old, q), append(oldAt, i)
		}
	}
	e.mu.Unlock()
	if len(old) == 0 {
		return offsets, nil
	}
	fresh, err := e.broker.MaxOffsets(ctx, address, old)
	if err != nil {
		return nil, fmt.Errorf("ask %s for the ends of %d queues: %w", address, len(old), err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for i, q := range old {
		offsets[oldAt[i]] = fresh[i]
		e.known[queueKey{address, q}] = queueEnd{offset: fresh[i], at: asked}
	}
	return offsets, nil
}
