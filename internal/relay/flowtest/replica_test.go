package flowtest

import (
	"maps"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/relay"
	"github.com/outbox-relay/outbox-relay/internal/stack"
	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
)

// cluster makes a world with brokers of its own, one for each name, all masters.
func cluster(t *testing.T, config map[string]string, names ...string) (*world, *stack.NameServer, []*stack.Broker) {
	t.Helper()
	native := stack.Options{Engine: stack.EngineNative}
	ns, err := stack.StartNameServer(t.Context(), native)
	require.NoError(t, err)
	t.Cleanup(func() { _ = ns.Close() })
	all := stack.FastTransactions()
	maps.Copy(all, config)
	var brokers []*stack.Broker
	for _, name := range names {
		broker, err := stack.StartBroker(t.Context(), ns, stack.Options{Engine: stack.EngineNative, BrokerName: name, BrokerConfig: all})
		require.NoError(t, err)
		t.Cleanup(func() { _ = broker.Close() })
		require.NoError(t, broker.CreateTopic(t.Context(), "orders", 4, "")) // see stack.StartSlave
		brokers = append(brokers, broker)
	}
	w := worldOn(t, stacktest.Shared(t).Database(t), ns.Addr, "orders", "group")
	w.keepBooks()
	return w, ns, brokers
}

// withSlave is a world whose only master confirms nothing that its slave has not got. A commit that no slave has is answered
// after slaveTimeout, later than the relay believes.
func withSlave(t *testing.T) (w *world, master, slave *stack.Broker) {
	t.Helper()
	stacktest.Needs(t, stack.InSyncReplicas)
	config := map[string]string{"brokerRole": "SYNC_MASTER", "totalReplicas": "2", "inSyncReplicas": "2", "slaveTimeout": "2500"}
	w, ns, brokers := cluster(t, config, "pair")
	slave, err := stack.StartSlave(t.Context(), ns, brokers[0], stack.Options{Engine: stack.EngineNative, BrokerConfig: config})
	require.NoError(t, err)
	t.Cleanup(func() { _ = slave.Close() })
	require.Eventually(t, func() bool {
		_, err := slave.ReadTopic(t.Context(), w.topic)
		return err == nil
	}, 2*patience, 100*time.Millisecond, "the slave hears of topics every ten seconds")
	return w, brokers[0], slave
}

func (w *world) flows(what string) {
	w.t.Helper()
	before := w.sent()
	require.Eventually(w.t, func() bool { return w.sent() > before+50 }, 2*patience, 20*time.Millisecond, what)
}

// Without its slave the master stores halves that may be lost with it: none of them is committed.
func TestSlaveLostUnderLoad(t *testing.T) {
	t.Parallel()
	w, _, slave := withSlave(t)
	w.start()
	stop := w.write("a", "", "b", "", "c")
	w.flows("master and slave")
	require.NoError(t, slave.Kill())
	require.Eventually(t, func() bool {
		return w.count("outbox WHERE attempts > 0 AND last_error LIKE 'flush_slave_timeout: code 12: %'") > 0
	}, 2*patience, 20*time.Millisecond)
	require.NoError(t, slave.Start(t.Context()))
	w.flows("the slave is back")
	n := stop()
	w.drained()
	w.arrived(n)
	copies, err := slave.ReadTopic(t.Context(), w.topic)
	require.NoError(t, err)
	assert.Len(t, copies, len(w.read()), "the slave has what the master has")
}

// A slave can be read, and knows nothing for certain: what is in doubt waits for the master.
func TestMasterOfASlaveLostUnderLoad(t *testing.T) {
	t.Parallel()
	w, master, slave := withSlave(t)
	w.start()
	stop := w.write("a", "", "b", "", "c")
	w.flows("master and slave")
	require.NoError(t, master.Kill())
	warnings := w.seen.Load()
	n := stop()
	require.Eventually(t, func() bool { return w.seen.Load() > warnings }, patience, 20*time.Millisecond, "the relay has noticed")
	// The windows of everything that was decided before are over, by far.
	require.Eventually(t, func() bool {
		return w.count("outbox_attempt WHERE closed_at IS NULL AND decided_at > now() - interval '8 s'") == 0
	}, patience, 100*time.Millisecond)
	open, pending := w.count("outbox_attempt WHERE closed_at IS NULL"), w.count("outbox")
	t.Logf("%d attempts are in doubt, %d rows are pending", open, pending)
	_, err := slave.ReadTopic(t.Context(), w.topic)
	require.NoError(t, err, "the slave can be read")
	assert.Zero(t, w.count("outbox WHERE attempts > 0"))
	require.NoError(t, master.Start(t.Context()))
	w.drained()
	w.arrived(n)
	assert.Equal(t, n, w.sent())
}

// Rows without a key go over the master that is left; keys of the other one's queues wait for it.
func TestOneOfTwoMastersLostUnderLoad(t *testing.T) {
	t.Parallel()
	stacktest.Needs(t, stack.Fence)
	w, _, brokers := cluster(t, nil, "left", "lost")
	w.start(func(c *relay.Config) { c.BatchRows = 50 })
	stop := w.write("a", "", "b", "", "c", "d", "", "e", "f", "g")
	w.flows("both")
	require.NoError(t, brokers[1].Kill())
	const unordered = `SELECT count(*) FROM outbox_sent WHERE broker = 'left' AND ordering_key IS NULL`
	const ordered = `SELECT count(*) FROM outbox_sent WHERE broker = 'left' AND ordering_key IS NOT NULL`
	rows, keys := w.number(unordered), w.number(ordered)
	require.Eventually(t, func() bool { return w.number(unordered) > rows+50 && w.number(ordered) > keys+50 }, 2*patience, 20*time.Millisecond,
		"rows without a key, and the keys of the master that is left, go on")
	lost := w.number(`SELECT count(DISTINCT ordering_key) FROM outbox_sent WHERE broker = 'lost'`)
	require.Positive(t, lost, "the other master had keys")
	waiting := `SELECT count(DISTINCT ordering_key) FROM outbox WHERE ordering_key IN (SELECT ordering_key FROM outbox_sent WHERE broker = 'lost')`
	require.Equal(t, lost, w.number(waiting), "they wait for it")
	require.NoError(t, brokers[1].Start(t.Context()))
	require.Eventually(t, func() bool {
		return w.number(`SELECT count(*) FROM outbox_sent WHERE broker = 'lost' AND sent_at > now() - interval '3 s'`) > 10
	},
		2*patience, 50*time.Millisecond, "and go on")
	n := stop()
	w.drained()
	w.arrived(n)
	assert.Zero(t, w.number(`SELECT count(*) FROM (SELECT FROM outbox_sent WHERE ordering_key IS NOT NULL
		GROUP BY ordering_key HAVING count(DISTINCT (broker, queue)) > 1) moved`), "no key was moved")
}
