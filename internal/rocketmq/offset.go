package rocketmq

import (
	"context"
	"fmt"

	"github.com/outbox-relay/outbox-relay/internal/relay"
	"github.com/outbox-relay/outbox-relay/internal/rocketmq/remoting"
)

// MaxOffsets asks one master for the end of each queue: the offset that its next readable message will have.
func (c *Client) MaxOffsets(ctx context.Context, address string, queues []relay.TopicQueue) ([]int64, error) {
	offsets, err := c.offsets(ctx, address, reqGetMaxOffset, queues)
	if err != nil {
		return nil, fmt.Errorf("ends of queues on %s: %w", address, err)
	}
	return offsets, nil
}

// Dispatched reports whether the master's dispatcher has passed the half with this queue offset. The dispatcher is
// sequential, so everything the master stored before that half is readable then.
func (c *Client) Dispatched(ctx context.Context, address string, halfOffset int64) (bool, error) {
	end, err := c.MaxOffsets(ctx, address, []relay.TopicQueue{{Topic: halfTopic, Queue: 0}})
	if err != nil {
		return false, err
	}
	return end[0] > halfOffset, nil
}

// offsets sends one request for each queue and wants an offset as answer from each.
func (c *Client) offsets(ctx context.Context, address string, code int, queues []relay.TopicQueue) ([]int64, error) {
	offsets := make([]int64, len(queues))
	errs := make([]error, len(queues))
	b := c.brokers.Batch(len(queues), c.options.RequestTimeout, func(i int, r remoting.Reply) {
		cmd, err := success(r.Response, r.Err)
		if err == nil {
			offsets[i], err = cmd.ExtInt("offset")
		}
		errs[i] = err
	})
	for _, q := range queues {
		b.Begin(code)
		b.String("topic", c.names.Wire(q.Topic))
		b.Int("queueId", int64(q.Queue))
		if err := b.End(nil); err != nil {
			return nil, err
		}
	}
	c.brokers.Submit(address, b)
	b.Wait(ctx)
	for i, err := range errs {
		if err != nil {
			return nil, fmt.Errorf("topic %s queue %d: %w", queues[i].Topic, queues[i].Queue, err)
		}
	}
	return offsets, nil
}
