package rocketmq

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/relay"
)

// Each send status that a half can have, from a real broker that is set up to give it.
func TestSendStatuses(t *testing.T) {
	t.Parallel()
	ns := startNameServer(t)
	for _, c := range []struct {
		name   string
		config map[string]string
		check  func(b *bench)
	}{
		{
			"flush-slave-timeout",
			map[string]string{"brokerRole": "SYNC_MASTER", "totalReplicas": "2", "inSyncReplicas": "2", "slaveTimeout": "300"},
			checkFlushSlaveTimeout,
		},
		{
			"not-in-sync",
			map[string]string{"brokerRole": "SYNC_MASTER", "enableSlaveActingMaster": "true", "totalReplicas": "2", "inSyncReplicas": "2"},
			checkNotInSync,
		},
		{
			"flush-disk-timeout",
			map[string]string{"flushDiskType": "SYNC_FLUSH", "syncFlushTimeout": "0"},
			checkFlushDiskTimeout,
		},
	} {
		t.Run(c.name, func(t *testing.T) { // one after the other: each has a broker of its own
			topic := "topic-" + c.name // one named like a broker is a system topic
			broker := startBroker(t, ns, c.name, topic, c.config)
			b := &bench{
				t: t, topic: topic, group: c.name, broker: c.name, address: broker.Addr,
				Client: newClient(t, Options{NameServers: ns.Addr, Group: c.name, Logger: discard()}),
			}
			require.NoError(t, b.bindRoute(t.Context(), topic))
			c.check(b)
			require.NoError(t, broker.Close())
		})
	}
}

func (b *bench) sendOne() (relay.HalfAnswer, relay.StoredHalf) {
	b.t.Helper()
	h := b.half()
	a := b.send(h)
	require.NoError(b.t, a.Err)
	return a, relay.StoredHalf{Topic: h.Topic, UniqKey: h.UniqKey, HalfOffset: a.HalfOffset, LogOffset: a.LogOffset}
}

// The half is stored and can be rolled back; a commit hides that the slave did not answer behind a 0 that comes late.
func checkFlushSlaveTimeout(b *bench) {
	for range 3 {
		a, stored := b.sendOne()
		require.Equal(b.t, codeFlushSlaveTimeout, a.Code, a.Remark)
		require.True(b.t, a.Stored)
		require.GreaterOrEqual(b.t, a.Took, 290*time.Millisecond)
		require.Zero(b.t, b.rollback(stored).Code)
	}
	_, stored := b.sendOne()
	a := b.commit(stored)
	require.Zero(b.t, a.Code)
	require.GreaterOrEqual(b.t, a.Took, 290*time.Millisecond)
}

func checkNotInSync(b *bench) {
	a, _ := b.sendOne()
	require.Equal(b.t, 1, a.Code)
	require.Contains(b.t, a.Remark, "in-sync replicas")
	require.False(b.t, a.Stored)
}

// With a deadline of 0 the broker's watcher races its flush and nearly always wins.
func checkFlushDiskTimeout(b *bench) {
	require.Eventually(b.t, func() bool {
		a, stored := b.sendOne()
		if a.Code == codeSuccess {
			b.Forget(b.address, []relay.StoredHalf{stored})
			return false
		}
		require.Equal(b.t, codeFlushDiskTimeout, a.Code, a.Remark)
		require.True(b.t, a.Stored)
		require.Zero(b.t, b.rollback(stored).Code)
		return true
	}, soon, time.Millisecond)
}
