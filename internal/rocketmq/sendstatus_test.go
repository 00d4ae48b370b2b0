package rocketmq

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/relay"
	"github.com/outbox-relay/outbox-relay/internal/stack"
	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
)

// Each send status that a half can have, from a real broker that is set up to give it.
func TestSendStatuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		needs  stack.Feature
		opts   stack.Options
		config map[string]string
		check  func(b *bench)
	}{
		{
			name: "flush-slave-timeout", needs: stack.InSyncReplicas, check: checkFlushSlaveTimeout,
			config: map[string]string{"brokerRole": "SYNC_MASTER", "totalReplicas": "2", "inSyncReplicas": "2", "slaveTimeout": "300"},
		},
		{
			name: "not-in-sync", needs: stack.InSyncReplicas, check: checkNotInSync,
			config: map[string]string{"brokerRole": "SYNC_MASTER", "enableSlaveActingMaster": "true", "totalReplicas": "2", "inSyncReplicas": "2"},
		},
		{
			name: "flush-disk-timeout", check: checkFlushDiskTimeout,
			config: map[string]string{"flushDiskType": "SYNC_FLUSH", "syncFlushTimeout": "200"},
		},
		{
			name: "slave-not-available", check: checkSlaveNotAvailable, opts: stack.Options{RocketMQVersion: stack.RocketMQ49},
			config: map[string]string{"brokerRole": "SYNC_MASTER"},
		},
	} {
		t.Run(c.name, func(t *testing.T) { // one after the other: each has a broker of its own
			if c.needs != "" {
				stacktest.Needs(t, c.needs)
			}
			var disk []string
			if c.name == "flush-disk-timeout" {
				disk, c.opts.Engine = slowDisk(t), stack.EngineNative
			}
			ns, err := stack.StartNameServer(t.Context(), c.opts)
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, ns.Close()) })
			b := &bench{t: t, topic: "topic-" + c.name, group: c.name, broker: c.name} // one named like a broker is a system topic
			c.opts.BrokerName, c.opts.BrokerConfig = c.name, c.config
			c.opts.Env = disk
			broker, err := stack.StartBroker(t.Context(), ns, c.opts)
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, broker.Close()) })
			require.NoError(t, broker.CreateTopic(t.Context(), b.topic, 1, "TRANSACTION"))
			b.address = broker.Addr
			b.Client = newClient(t, Options{NameServers: ns.Addr, Group: c.name, Logger: discard()})
			require.NoError(t, b.bindRoute(t.Context(), b.topic))
			c.check(b)
			require.NoError(t, broker.Close())
		})
	}
}

// slowDisk is the environment of a broker whose every flush takes 400 ms.
func slowDisk(t *testing.T) []string {
	t.Helper()
	disk, err := stack.NewBadDisk(t.Context(), t.TempDir())
	if missing := (*stack.MissingError)(nil); errors.As(err, &missing) {
		t.Skip(missing)
	}
	require.NoError(t, err)
	require.NoError(t, disk.Slow(400*time.Millisecond))
	return disk.Env()
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

// The half is stored; a commit hides that it may not be on the disk behind a 0 that comes late.
func checkFlushDiskTimeout(b *bench) {
	for range 3 {
		a, stored := b.sendOne()
		require.Equal(b.t, codeFlushDiskTimeout, a.Code, a.Remark)
		require.True(b.t, a.Stored)
		require.Zero(b.t, b.rollback(stored).Code)
	}
	_, stored := b.sendOne()
	a := b.commit(stored)
	require.Zero(b.t, a.Code)
	require.GreaterOrEqual(b.t, a.Took, 190*time.Millisecond)
}

// Only RocketMQ 4 says so: a SYNC_MASTER without a slave. The half is stored, and a commit says nothing of it.
func checkSlaveNotAvailable(b *bench) {
	for range 3 {
		a, stored := b.sendOne()
		require.Equal(b.t, codeSlaveNotAvailable, a.Code, a.Remark)
		require.True(b.t, a.Stored)
		require.Zero(b.t, b.rollback(stored).Code)
	}
	_, stored := b.sendOne()
	require.Zero(b.t, b.commit(stored).Code)
}
