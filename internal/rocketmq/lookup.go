package rocketmq

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/outbox-relay/outbox-relay/internal/rocketmq/remoting"
)

// Lookup asks the index of one master for the UNIQ_KEY on topic. The index goes by hash, so topic and key are compared. Found
// proves; not found proves nothing: the index lags, and after a crash it loses its newest file.
func (c *Client) Lookup(ctx context.Context, address, topic, uniqKey string) (bool, error) {
	cmd, err := success(c.brokers.Call(ctx, address, c.options.RequestTimeout, func(b *remoting.Batch) error {
		b.Begin(reqQueryMessage)
		b.String("topic", c.names.Wire(topic))
		b.String("key", uniqKey)
		b.Int("maxNum", 32)
		b.Int("beginTimestamp", 0)
		b.Int("endTimestamp", math.MaxInt64)
		b.String("_UNIQUE_KEY_QUERY", "true")
		return b.End(nil)
	}))
	var code *CodeError
	if errors.As(err, &code) && code.Code == codeQueryNotFound {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look up %s of topic %s on %s: %w", uniqKey, topic, address, err)
	}
	for rest := cmd.Body; len(rest) > 0; {
		var m storedMessage
		if m, rest, err = nextStored(rest); err != nil {
			return false, fmt.Errorf("look up %s of topic %s on %s: %w", uniqKey, topic, address, err)
		}
		if string(m.topic) == c.names.Wire(topic) && string(m.property("UNIQ_KEY")) == uniqKey {
			return true, nil
		}
	}
	return false, nil
}
