package rocketmq

import (
	"context"
	"time"

	"github.com/outbox-relay/outbox-relay/internal/relay"
	"github.com/outbox-relay/outbox-relay/internal/rocketmq/remoting"
)

// Commit sends END_TRANSACTION commit for each half, two-way, in one gathered write, and calls answered once for each, from
// any goroutine, perhaps before Commit returns. It never blocks.
func (c *Client) Commit(address string, halves []relay.StoredHalf, timeout time.Duration, answered func(i int, a relay.Answer)) {
	b := c.brokers.Batch(len(halves), timeout, func(i int, r remoting.Reply) {
		a := answer(r)
		c.traces.committed(address, &halves[i], a)
		answered(i, a)
	})
	c.endTransactions(b, halves, transactionCommit)
	c.brokers.Submit(address, b)
}

// Rollback sends END_TRANSACTION rollback for each half, two-way, and returns the answers.
func (c *Client) Rollback(ctx context.Context, address string, halves []relay.StoredHalf) []relay.Answer {
	answers := make([]relay.Answer, len(halves))
	b := c.brokers.Batch(len(halves), c.options.RequestTimeout, func(i int, r remoting.Reply) {
		answers[i] = answer(r)
		if r.Err == nil && answers[i].Code == codeSuccess {
			c.traces.rolledBack(address, &halves[i])
		}
	})
	c.endTransactions(b, halves, transactionRollback)
	c.brokers.Submit(address, b)
	b.Wait(ctx)
	return answers
}

// Forget sends END_TRANSACTION rollback one-way.
func (c *Client) Forget(address string, halves []relay.StoredHalf) {
	b := c.brokers.Oneway(len(halves))
	c.endTransactions(b, halves, transactionRollback)
	c.brokers.Submit(address, b)
	for i := range halves {
		c.traces.rolledBack(address, &halves[i])
	}
}

// endTransactions appends END_TRANSACTION for each half. fromTransactionCheck stays false: the broker's fence (604) holds for
// such requests only.
func (c *Client) endTransactions(b *remoting.Batch, halves []relay.StoredHalf, what int64) {
	for i := range halves {
		h := &halves[i]
		b.Begin(reqEndTransaction)
		b.String("topic", c.names.Wire(h.Topic))
		b.String("producerGroup", c.options.Group)
		b.Int("tranStateTableOffset", h.HalfOffset)
		b.Int("commitLogOffset", h.LogOffset)
		b.Int("commitOrRollback", what)
		b.Bool("fromTransactionCheck", false)
		b.String("msgId", h.UniqKey)
		b.String("transactionId", h.UniqKey)
		_ = b.End(nil) // topic names are at most 127 bytes long: cannot be too large
	}
}
