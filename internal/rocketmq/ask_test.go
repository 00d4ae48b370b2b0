package rocketmq

import (
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/relay"
	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
)

// Without a session nobody becomes a producer of the group.
func TestAskedWithoutASession(t *testing.T) {
	t.Parallel()
	servers := stacktest.Shared(t)
	c, err := New(Options{NameServers: servers.NameServer(), Group: servers.Group(t), Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close()) }()
	masters, err := c.Masters(t.Context())
	require.NoError(t, err)
	require.Equal(t, map[string]string{"broker-a": servers.Broker()}, masters)
	queues, err := c.WritableQueues(t.Context(), servers.Topic(t, 2))
	require.NoError(t, err)
	require.Equal(t, []relay.Queue{{Broker: "broker-a"}, {Broker: "broker-a", ID: 1}}, queues)
	_, err = c.WritableQueues(t.Context(), "no-such-topic")
	require.ErrorIs(t, err, ErrTopicMissing)
	require.Empty(t, c.ClientID())
}
