package rocketmq

import (
	"context"
	"errors"
	"fmt"
)

// Bind routes the topics. It returns every topic's mistake at once, joined: each is a *TopicError. If one of them is an
// ErrUnreachable, try again later; ErrTopicMissing and ErrNotWritable are definitive. Bind may be called again, with the same
// topics or others.
func (c *Client) Bind(ctx context.Context, topics []string) error {
	var errs []error
	for _, topic := range topics {
		if err := c.bindRoute(ctx, topic); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Run keeps the routes fresh until ctx ends.
func (c *Client) Run(ctx context.Context) error {
	c.routes.run(ctx)
	return nil
}

func (c *Client) bindRoute(ctx context.Context, topic string) error {
	route, err := c.servers.route(ctx, topic)
	switch {
	case errors.Is(err, ErrTopicMissing):
		// A name server forgets a topic while all its brokers are down, and everything when it is restarted.
		masters, clusterErr := c.servers.masters(ctx)
		if clusterErr == nil && len(masters) == 0 {
			clusterErr = unreachable(errors.New("no broker is registered at the name server"))
		}
		if clusterErr != nil {
			err = clusterErr
		}
		return &TopicError{Topic: topic, Err: err}
	case err != nil:
		return &TopicError{Topic: topic, Err: fmt.Errorf("route: %w", err)}
	}
	c.routes.store(topic, route)
	return route.writable(topic)
}
