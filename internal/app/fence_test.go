package app

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/stack"
)

// ownBroker puts the world on a broker of its own, with the topic.
func (w *world) ownBroker(opts stack.Options) *stack.Broker {
	w.t.Helper()
	ns, err := stack.StartNameServer(w.t.Context(), opts)
	require.NoError(w.t, err)
	w.t.Cleanup(func() { require.NoError(w.t, ns.Close()) })
	broker, err := stack.StartBroker(w.t.Context(), ns, opts)
	require.NoError(w.t, err)
	w.t.Cleanup(func() { require.NoError(w.t, broker.Close()) })
	require.NoError(w.t, broker.CreateTopic(w.t.Context(), w.topic, 4, "TRANSACTION"))
	w.nameServer = ns.Addr
	return broker
}

// What the relay knows of the fence it knows from the broker: the last version before it is refused, the first with it is not.
func TestBrokerWithoutTheFenceIsRefused(t *testing.T) {
	t.Parallel()
	t.Run("before", func(t *testing.T) {
		w := newWorld(t)
		w.ownBroker(stack.Options{RocketMQVersion: stack.RocketMQ49})
		w.insert(3)
		p := start(t, w.config())
		var err error
		select {
		case err = <-p.done:
		case <-time.After(patience):
			require.Fail(t, "the start does not end")
		}
		require.EqualError(t, err, "broker broker-a is of version V4_9_7: before 5.1.4 a broker accepts a commit at any time, "+
			"so exactly-once delivery cannot be promised")
		require.Equal(t, 3, w.count("outbox"), "nothing was touched")
		require.Zero(t, w.count("outbox_attempt"))
	})
	t.Run("since", func(t *testing.T) {
		w := newWorld(t)
		w.ownBroker(stack.Options{RocketMQVersion: stack.RocketMQ51, BrokerConfig: stack.FastTransactions()})
		w.insert(3)
		p := start(t, w.config())
		p.eventually("published", func() bool { return w.count("outbox") == 0 })
		require.Empty(t, p.log.with("accepts a commit at any time"))
		require.NoError(t, p.end())
	})
}
