package app

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/stack"
)

// Without the fence nothing can be proven: with delivery at_least_once the relay serves an old broker all the same, says so,
// and sends what is in doubt again. Nothing is lost; what comes twice has the same deduplication key.
func TestOldBrokerAtLeastOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.topic = "orders"
	broker := w.ownBroker(stack.Options{RocketMQVersion: stack.RocketMQ49, BrokerConfig: stack.FastTransactions()})
	p := start(t, w.config(fmt.Sprintf("topics: [{name: %s, delivery: at_least_once}]", w.topic), "window: 5s", "send_timeout: 3s", "commit_timeout: 1s"))
	p.eventually("ready", p.ready)
	require.NotEmpty(t, p.log.with(`"level":"WARN"`, "V4_9_7"), "it says what cannot be promised")
	w.insert(50)
	p.eventually("published", func() bool { return w.count("outbox") == 0 })

	// Commits that are under way when the broker stands still are in doubt, and are carried out when it goes on.
	for range 3 {
		w.insert(400)
		p.eventually("under way", func() bool { return w.count("outbox_attempt WHERE closed_at IS NULL") > 0 || w.count("outbox") == 0 })
		require.NoError(t, broker.Pause())
		p.eventually("in doubt", func() bool { return len(p.log.with("in doubt")) > 0 || len(p.log.with(`"msg":"paused"`)) > 0 })
		require.NoError(t, broker.Resume())
		p.eventually("published", func() bool { return w.count("outbox") == 0 && w.count("outbox_attempt WHERE closed_at IS NULL") == 0 })
	}
	require.NoError(t, p.end())

	messages, err := stack.ReadTopic(t.Context(), w.nameServer, w.topic)
	require.NoError(t, err)
	times := map[string]int{}
	dedup := map[string]string{}
	for _, m := range messages {
		id := m.Properties["outbox-id"]
		times[id]++
		if before, seen := dedup[id]; seen {
			require.Equal(t, before, m.Properties["outbox-dedup-key"], "row %s", id)
		}
		dedup[id] = m.Properties["outbox-dedup-key"]
	}
	require.Len(t, times, 1250, "each row at least once")
	t.Logf("%d messages of %d rows", len(messages), len(times))
}
