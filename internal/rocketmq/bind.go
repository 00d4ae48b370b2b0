package rocketmq

import (
	"context"
	"errors"
	"fmt"
)

// Bind routes the topics and makes the session known to their brokers; the first call starts the session. It returns every
// topic's mistake at once, joined: each is a *TopicError. ErrTopicMissing, ErrNotWritable, ErrAccess and ErrNotNameServer are
// definitive; if there is only ErrUnreachable, try again later. Bind may be called again, with the same topics or others; not
// concurrently.
func (c *Client) Bind(ctx context.Context, topics []string) error {
	var errs []error
	for _, topic := range topics {
		err := c.bindRoute(ctx, topic)
		if errors.Is(err, ErrNotNameServer) || errors.Is(err, ErrAccess) {
			return err // the same for every topic
		}
		if err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	if c.session == nil {
		s, err := c.newProducers()
		if err != nil {
			return err
		}
		c.session = s
	}
	names := make([]string, len(topics))
	for i, topic := range topics {
		names[i] = c.names.Wire(topic)
	}
	return c.session.bind(ctx, names)
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
