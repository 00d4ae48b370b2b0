package rocketmq

import (
	"context"

	"github.com/outbox-relay/outbox-relay/internal/relay"
)

// What can be asked without a session: nobody becomes a producer of the group by it.

// Masters returns the masters that are registered at the name servers, by broker name.
func (c *Client) Masters(ctx context.Context) (map[string]string, error) {
	return c.servers.masters(ctx)
}

// WritableQueues returns the topic's writable queues on all masters, as it is routed now. Bound topics are asked for with
// Routed.
func (c *Client) WritableQueues(ctx context.Context, topic string) ([]relay.Queue, error) {
	route, err := c.servers.route(ctx, topic)
	if err != nil {
		return nil, &TopicError{Topic: topic, Err: err}
	}
	var queues []relay.Queue
	for _, q := range route.queues {
		if q.perm&permWrite == 0 || route.masters[q.broker] == "" {
			continue
		}
		for id := range q.write {
			queues = append(queues, relay.Queue{Broker: q.broker, ID: id})
		}
	}
	return queues, nil
}
