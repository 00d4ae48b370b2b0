package app

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/config"
	"github.com/outbox-relay/outbox-relay/internal/relay"
	"github.com/outbox-relay/outbox-relay/internal/stack"
	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
)

func (w *world) change(cfg *config.Config, c QueueChange) (string, error) {
	w.t.Helper()
	var text strings.Builder
	c.Topic = w.topic
	err := ChangeQueues(w.t.Context(), cfg, c, &text)
	return text.String(), err
}

func (w *world) showQueues(cfg *config.Config) string {
	w.t.Helper()
	var text strings.Builder
	require.NoError(w.t, ShowQueues(w.t.Context(), cfg, w.topic, &text))
	return text.String()
}

// keyed are the names of n keys.
func keyed(n int) (keys []string) {
	for i := range n {
		keys = append(keys, "key "+strconv.Itoa(i))
	}
	return keys
}

// perKey returns the rows of each ordering key in the order of each queue, and checks that a key's order holds on every queue.
func (w *world) perKey() map[string]map[string][]int64 {
	w.t.Helper()
	messages, err := stack.ReadTopic(w.t.Context(), w.nameServer, w.topic)
	require.NoError(w.t, err)
	keys := map[string]map[string][]int64{}
	for _, m := range messages {
		id, err := strconv.ParseInt(m.Properties["outbox-id"], 10, 64)
		require.NoError(w.t, err)
		key, queue := m.Properties["SHARDING_KEY"], m.Broker+":"+strconv.Itoa(m.Queue)
		if keys[key] == nil {
			keys[key] = map[string][]int64{}
		}
		rows := keys[key][queue]
		require.True(w.t, len(rows) == 0 || rows[len(rows)-1] < id, "key %q is out of order on %s", key, queue)
		keys[key][queue] = append(rows, id)
	}
	return keys
}

func TestQueueThatIsNewTakesOrderedRowsAfterARefresh(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.topic = stacktest.Shared(t).Topic(t, 2)
	cfg := w.config()
	p := start(t, cfg)
	p.eventually("ready", p.ready)
	w.insertKeyed(keyed(30)...)
	p.eventually("sent", func() bool { return w.count("outbox") == 0 })
	more := stack.Topic{Name: w.topic, Queues: 4, MessageType: "TRANSACTION"}
	require.NoError(t, stack.CreateTopic(t.Context(), w.nameServer, stacktest.Shared(t).Broker(), more))
	require.Eventually(t, func() bool {
		shown := w.showQueues(cfg)
		return strings.Count(shown, "  there\n") == 2 && strings.Count(shown, "new: not in the list") == 2
	}, patience, tick)

	out, err := w.change(cfg, QueueChange{DryRun: true, Wait: patience})
	require.NoError(t, err)
	require.Contains(t, out, "dry run, nothing was changed; the list would be: broker-a:0 broker-a:1 broker-a:2 broker-a:3")
	_, err = w.change(cfg, QueueChange{Queues: []string{"broker-a:0", "broker-a:7"}})
	require.ErrorContains(t, err, "queue broker-a:7 is not on any broker that is registered: broker-a:0, broker-a:1")
	_, err = w.change(cfg, QueueChange{Queues: []string{"broker-a"}})
	require.ErrorContains(t, err, `queue "broker-a" is not broker:number`)
	session := p.session()
	out, err = w.change(cfg, QueueChange{Wait: patience})
	require.NoError(t, err)
	require.Contains(t, out, "the list is now: broker-a:0 broker-a:1 broker-a:2 broker-a:3")
	w.insertKeyed(keyed(30)...)
	p.eventually("sent, by another session of the same process", func() bool { return w.count("outbox") == 0 && p.session() != session })
	require.NoError(t, p.end())

	old, now := relay.Topic{Queues: fixed(2, 0)}, relay.Topic{Queues: fixed(4, 0)}
	for key, queues := range w.perKey() {
		index, err := strconv.ParseInt(strings.TrimPrefix(key, "key "), 10, 64)
		require.NoError(t, err)
		want := map[string][]int64{}
		want[queueName(old.QueueOf(key))] = []int64{index + 1}
		after := queueName(now.QueueOf(key))
		want[after] = append(want[after], index+31)
		require.Equal(t, want, queues, key)
	}
	out, err = w.change(cfg, QueueChange{})
	require.NoError(t, err)
	require.Contains(t, out, "the list is already")
}

// fixed is the list of two brokers with so many queues.
func fixed(a, b int) (queues []relay.Queue) {
	for id := range a {
		queues = append(queues, relay.Queue{Broker: "broker-a", ID: id})
	}
	for id := range b {
		queues = append(queues, relay.Queue{Broker: "broker-b", ID: id})
	}
	return queues
}

// session is what the process logged last about its session.
func (p *process) session() string {
	opened := p.log.with(`"msg":"session opened"`)
	return opened[len(opened)-1]
}

// A broker leaves for good while messages are in doubt on it: an operator strikes those, and gives its keys other queues.
func TestQueuesOfABrokerThatIsGone(t *testing.T) {
	w, gone := newCluster(t, stack.FastTransactions(), "broker-a", "broker-b")
	cfg := w.config("window: 3s", "append_margin: 1s", "commit_timeout: 500ms", "send_timeout: 1s")
	w.insertKeyed(append(keyed(20), keyed(20)...)...)
	p := start(t, cfg, w.lost(gone))
	old := relay.Topic{Queues: fixed(2, 2)}
	waiting := 0
	for _, key := range keyed(20) {
		if old.QueueOf(key).Broker == "broker-b" {
			waiting += 2
		}
	}
	p.eventually("the keys of the broker wait", func() bool { return w.count("outbox") == waiting && openOn(t, w.db(), "broker-b") > 0 })
	require.NoError(t, gone.Kill())
	p.eventually("it is missing", func() bool { return strings.Count(w.showQueues(cfg), "missing: its ordering keys wait") == 2 })

	_, err := w.change(cfg, QueueChange{DropMissing: true, Pending: true})
	require.ErrorContains(t, err, "under way or in doubt")
	require.ErrorContains(t, err, "outbox-relay resolve")
	p.eventually("the window is over", func() bool {
		_, err := w.resolve(cfg, Resolution{Selection: Selection{Broker: "broker-b"}, BrokerGone: true})
		return err == nil
	})
	_, err = w.change(cfg, QueueChange{DropMissing: true})
	require.ErrorContains(t, err, "add --pending")
	// In their places, so that the keys of the other broker stay where they are.
	out, err := w.change(cfg, QueueChange{
		Queues: []string{"broker-a:0", "broker-a:1", "broker-a:0", "broker-a:1"}, Pending: true, Wait: patience,
	})
	require.NoError(t, err)
	require.Contains(t, out, strconv.Itoa(waiting)+" rows of keys that move wait")
	p.eventually("all sent", func() bool { return w.count("outbox") == 0 })
	require.NoError(t, p.end())

	now := relay.Topic{Queues: append(fixed(2, 0), fixed(2, 0)...)}
	found := w.perKey()
	require.Len(t, found, 20)
	for key, queues := range found {
		index, err := strconv.ParseInt(strings.TrimPrefix(key, "key "), 10, 64)
		require.NoError(t, err)
		require.Equal(t, map[string][]int64{queueName(now.QueueOf(key)): {index + 1, index + 21}}, queues, key)
	}
}
