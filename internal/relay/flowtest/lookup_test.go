package flowtest

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
)

// RocketMQ's own tools find a message by everything that wire.md says they do.
func TestMessagesAreFoundWithMqadmin(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	_, err := w.db.Exec(t.Context(), `INSERT INTO outbox (topic, tag, keys, dedup_key, headers, payload)
		VALUES ($1, 'created', 'order-7 customer-9', 'event-4711', '{"content-type": "text/plain"}', '\x00ff')`, w.topic)
	require.NoError(t, err)
	w.start()
	w.drained()
	messages := w.read()
	require.Len(t, messages, 1)
	m := messages[0]
	assert.Equal(t, []byte{0, 0xff}, m.Body)
	assert.Equal(t, "event-4711 order-7 customer-9", m.Keys)
	assert.Equal(t, "created", m.Tag)
	assert.Equal(t, "text/plain", m.Properties["content-type"])
	assert.Equal(t, "event-4711", m.Properties["outbox-dedup-key"])
	assert.Equal(t, "1", m.Properties["outbox-id"])

	servers := stacktest.Shared(t)
	for _, key := range []string{"event-4711", "customer-9"} {
		assert.Contains(t, servers.Admin(t, "queryMsgByKey", "-t", w.topic, "-k", key), m.ID, "by key %s", key)
	}
	byID := servers.Admin(t, "queryMsgByUniqueKey", "-t", w.topic, "-i", m.ID)
	assert.Contains(t, byID, "event-4711", "by id: %s", byID)
}
