package listener

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"time"

	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

// ProducerOptions are what the producer needs for the listener to keep its promise. Options of your own go behind them; but not
// WithRetry: each retry stores one more half message under the same id, and each would be committed. Nor WithQueueSelector, which
// Bind needs: messages go to the queue that they name, else by their sharding key, else to any.
func (l *Listener) ProducerOptions() []producer.Option {
	return []producer.Option{
		producer.WithRetry(0),
		producer.WithCreateTopicKey(""), // else a topic that does not exist would be routed as TBW102
		producer.WithQueueSelector(l.selector),
		// Producers of one name share a client, and only the first of them is asked.
		producer.WithInstanceName("txcheck-" + rand.Text()[:8]),
		// Above the broker's syncFlushTimeout, 5 s: a timeout says less than FLUSH_DISK_TIMEOUT.
		producer.WithSendMsgTimeout(6 * time.Second),
	}
}

// Bind makes the brokers of the topics known to the producer, which then sends them heartbeats: only brokers that had one can
// ask what an earlier process left behind. It sends no message, and tries until ctx ends. Call it right after Start.
func (l *Listener) Bind(ctx context.Context, p Producer, topics ...string) error {
	for _, topic := range topics {
		for {
			l.selector.forget(topic)
			_, err := p.SendMessageInTransaction(context.Background(), probe(topic))
			if l.selector.offered(topic) {
				break
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("bind topic %s: %w: %w", topic, context.Cause(ctx), err)
			case <-time.After(100 * time.Millisecond):
			}
		}
	}
	return nil
}

// probeProperty marks a message that is not to be sent.
const probeProperty = "txcheck-probe"

func probe(topic string) *primitive.Message {
	m := primitive.NewMessage(topic, []byte("probe"))
	m.WithProperty(probeProperty, "true")
	return m
}

// A selector names no queue for probes, so that nothing is sent, and remembers whether it was offered any.
type selector struct {
	byKey, any producer.QueueSelector

	mu     sync.Mutex
	queues map[string]int
}

func newSelector() *selector {
	return &selector{
		byKey: producer.NewHashQueueSelector(), any: producer.NewRoundRobinQueueSelector(), queues: make(map[string]int),
	}
}

// Select implements producer.QueueSelector.
func (s *selector) Select(m *primitive.Message, queues []*primitive.MessageQueue, lastBroker string) *primitive.MessageQueue {
	switch {
	case m.GetProperty(probeProperty) != "":
		s.mu.Lock()
		defer s.mu.Unlock()
		s.queues[m.Topic] = len(queues)
		return nil
	case m.Queue != nil:
		return m.Queue
	case m.GetShardingKey() != "":
		return s.byKey.Select(m, queues, lastBroker)
	default:
		return s.any.Select(m, queues, lastBroker)
	}
}

func (s *selector) offered(topic string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queues[topic] > 0
}

func (s *selector) forget(topic string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.queues, topic)
}
