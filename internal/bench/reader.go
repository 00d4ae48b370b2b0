package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/apache/rocketmq-client-go/v2/primitive"

	"github.com/outbox-relay/outbox-relay/internal/rocketmq/remoting"
)

// A message is what an audit needs of one.
type message struct {
	broker int
	queue  int
	body   []byte // valid while it is handled
	stored time.Time
}

// read reads the topic, every queue from its first message to its end, the queues of a broker at the same time. handle gets
// each queue's messages in order.
func (p *place) read(ctx context.Context, handle func(m message) error) error {
	for number, b := range p.brokers {
		ends, err := p.bench.ends(ctx, p.topic, b)
		if err != nil {
			return err
		}
		offsets := make([]int64, len(ends))
		for {
			open := map[int]int64{}
			for queue, end := range ends {
				if offsets[queue] < end {
					open[queue] = offsets[queue]
				}
			}
			if len(open) == 0 {
				break
			}
			answers, err := p.bench.pull(ctx, p.topic, b, open, 0)
			if err != nil {
				return err
			}
			for queue, messages := range answers {
				for _, m := range messages {
					if m.QueueOffset != offsets[queue] {
						return fmt.Errorf("queue %d of %s on %s goes on at offset %d where %d was due", queue, p.topic, b.Name, m.QueueOffset, offsets[queue])
					}
					offsets[queue]++
					if err := handle(message{number, queue, m.Body, time.UnixMilli(m.StoreTimestamp)}); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

// pull asks for messages of several queues at once, each from its offset; a broker answers at most 32 for one. It waits up to
// suspend for the first, if that is not 0.
func (w *Bench) pull(ctx context.Context, topic string, b Broker, from map[int]int64, suspend time.Duration) (map[int][]*primitive.MessageExt, error) {
	queues := make([]int, 0, len(from))
	bodies := make([][]byte, len(from))
	errs := make([]error, len(from))
	batch := w.pool.Batch(len(from), requestTimeout+suspend, func(i int, r remoting.Reply) {
		switch {
		case r.Err != nil:
			errs[i] = r.Err
		case r.Response.Code == codeSuccess:
			bodies[i] = append([]byte(nil), r.Response.Body...)
		case r.Response.Code != codePullNotFound && r.Response.Code != codePullRetry:
			errs[i] = fmt.Errorf("answer %d: %s", r.Response.Code, r.Response.Remark())
		}
	})
	for queue, offset := range from {
		queues = append(queues, queue)
		addPull(batch, topic, queue, offset, suspend)
	}
	w.pool.Submit(b.Address, batch)
	batch.Wait(ctx)
	answers := make(map[int][]*primitive.MessageExt, len(from))
	for i, queue := range queues {
		if errs[i] != nil {
			return nil, fmt.Errorf("read queue %d of %s on %s: %w", queue, topic, b.Name, errs[i])
		}
		if len(bodies[i]) > 0 {
			answers[queue] = primitive.DecodeMessage(bodies[i])
		}
	}
	return answers, nil
}

func addPull(batch *remoting.Batch, topic string, queue int, offset int64, suspend time.Duration) {
	flags := int64(subscriptionInPull)
	if suspend > 0 {
		flags |= suspendPull
	}
	batch.Begin(reqPullMessage)
	batch.String("consumerGroup", readGroup)
	batch.String("topic", topic)
	batch.Int("queueId", int64(queue))
	batch.Int("queueOffset", offset)
	batch.Int("maxMsgNums", 32)
	batch.Int("sysFlag", flags)
	batch.Int("commitOffset", 0)
	batch.Int("suspendTimeoutMillis", suspend.Milliseconds())
	batch.String("subscription", "*")
	batch.Int("subVersion", 0)
	batch.String("expressionType", "TAG")
	_ = batch.End(nil) // topic names are at most 127 bytes long: cannot be too large
}
