package rocketmq

import (
	"context"
	"fmt"
	"time"

	"github.com/outbox-relay/outbox-relay/internal/relay"
	"github.com/outbox-relay/outbox-relay/internal/rocketmq/remoting"
)

// StoredAt reads a half back from the log of one master and returns when it was stored, by that master's clock. It takes the
// right to GET the topic, which asking for the ends of queues takes as well.
func (c *Client) StoredAt(ctx context.Context, address string, half relay.StoredHalf) (time.Time, error) {
	cmd, err := success(c.brokers.Call(ctx, address, c.options.RequestTimeout, func(b *remoting.Batch) error {
		b.Begin(reqViewMessage)
		b.String("topic", c.names.Wire(half.Topic))
		b.Int("offset", half.LogOffset)
		return b.End(nil)
	}))
	if err != nil {
		return time.Time{}, fmt.Errorf("view %s at offset %d of the log of %s: %w", half.UniqKey, half.LogOffset, address, err)
	}
	m, _, err := nextStored(cmd.Body)
	if err != nil {
		return time.Time{}, fmt.Errorf("view %s at offset %d of the log of %s: %w", half.UniqKey, half.LogOffset, address, err)
	}
	if key := string(m.property("UNIQ_KEY")); key != half.UniqKey {
		return time.Time{}, fmt.Errorf("view %s at offset %d of the log of %s: there is %q", half.UniqKey, half.LogOffset, address, key)
	}
	return m.stored, nil
}
