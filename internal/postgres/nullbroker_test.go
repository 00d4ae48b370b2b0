package postgres_test

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/outbox-relay/outbox-relay/internal/relay"
)

// nullBroker stores and commits everything at once: what is left of a drain is PostgreSQL's part of it.
type nullBroker struct{ offset, committed atomic.Int64 }

var _ relay.Broker = (*nullBroker)(nil)

func (*nullBroker) Queues(string) []relay.Queue {
	return []relay.Queue{{Broker: "b", ID: 0}, {Broker: "b", ID: 1}}
}
func (b *nullBroker) Routed(t string) []relay.Queue { return b.Queues(t) }
func (*nullBroker) Address(string) (string, bool)   { return "127.0.0.1:1", true }

func (b *nullBroker) Halves(_ context.Context, _ string, halves []relay.Half) []relay.HalfAnswer {
	answers := make([]relay.HalfAnswer, len(halves))
	for i := range answers {
		answers[i].Stored = true
		answers[i].HalfOffset = b.offset.Add(1)
		answers[i].LogOffset = answers[i].HalfOffset * 400
	}
	return answers
}

func (*nullBroker) MaxOffsets(_ context.Context, _ string, queues []relay.TopicQueue) ([]int64, error) {
	return make([]int64, len(queues)), nil
}

func (b *nullBroker) Commit(_ string, halves []relay.StoredHalf, _ time.Duration, answered func(int, relay.Answer)) {
	go func() {
		for i := range halves {
			b.committed.Add(1)
			answered(i, relay.Answer{})
		}
	}()
}

func (*nullBroker) Rollback(_ context.Context, _ string, halves []relay.StoredHalf) []relay.Answer {
	return make([]relay.Answer, len(halves))
}

func (*nullBroker) Forget(string, []relay.StoredHalf) {}

func (*nullBroker) Lookup(context.Context, string, string, string) (bool, error) { return false, nil }

func (*nullBroker) ReadBack(context.Context, string, relay.TopicQueue, int64, func(string)) (relay.ReadProof, error) {
	return relay.ReadProof{Complete: true}, nil
}

func (*nullBroker) Dispatched(context.Context, string, int64) (bool, error) { return true, nil }

func (*nullBroker) StoredAt(context.Context, string, relay.StoredHalf) (time.Time, error) {
	return time.Now(), nil
}

func (b *nullBroker) Send(_ string, requests [][]relay.Half, answered func(int, relay.Answer)) {
	go func() {
		for i := range requests {
			answered(i, relay.Answer{})
		}
	}()
}

func (b *nullBroker) Oneway(address string, requests [][]relay.Half, answered func(int, relay.Answer)) {
	b.Send(address, requests, answered)
}

func (*nullBroker) Delays(context.Context, string) (relay.Delays, error) { return relay.Delays{}, nil }
