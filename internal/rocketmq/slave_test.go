package rocketmq

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/relay"
	"github.com/outbox-relay/outbox-relay/internal/stack"
)

// A slave has what its master has, and nothing that it says counts: it refuses commits and halves, and what is not found on it
// is not proven absent.
func TestSlaveIsAskedInVain(t *testing.T) {
	t.Parallel()
	const topic = "replicated"
	native := stack.Options{Engine: stack.EngineNative, BrokerName: "pair", BrokerConfig: stack.FastTransactions()}
	ns, err := stack.StartNameServer(t.Context(), native)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, ns.Close()) })
	master, err := stack.StartBroker(t.Context(), ns, native)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, master.Close()) })
	require.NoError(t, master.CreateTopic(t.Context(), topic, 1, "")) // see stack.StartSlave
	slave, err := stack.StartSlave(t.Context(), ns, master, native)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, slave.Close()) })
	b := &bench{
		t: t, topic: topic, group: "replicated", broker: "pair", address: master.Addr,
		Client: newClient(t, Options{NameServers: ns.Addr, Group: "replicated", Logger: discard()}),
	}
	require.NoError(t, b.bindRoute(t.Context(), topic))
	address, up := b.Address("pair")
	require.True(t, up)
	require.Equal(t, master.Addr, address, "routes lead to the master")

	stored := b.store(b.half())
	require.Zero(t, b.commit(stored).Code)
	require.Eventually(t, func() bool {
		copies, err := stack.ReadMaster(t.Context(), slave.Addr, slave.Name, topic, 1)
		return err == nil && len(copies) == 1 && copies[0].ID == stored.UniqKey
	}, 4*soon, 100*time.Millisecond, "it has the message, and can be read")

	b.address = slave.Addr
	pending := b.half()
	a := b.Halves(t.Context(), slave.Addr, []relay.Half{pending})[0]
	require.NoError(t, a.Err)
	require.Contains(t, []int{2, 14}, a.Code, a.Remark) // 14 on 4.9
	require.False(t, a.Stored)
	for _, answer := range []relay.Answer{b.commit(stored), b.rollback(stored)} {
		require.NoError(t, answer.Err)
		require.Equal(t, codeSlaveNotAvailable, answer.Code)
		verdict, _ := relay.JudgeCommit(answer, time.Second)
		require.Equal(t, relay.CommitRefused, verdict)
		require.False(t, relay.Fenced(answer), "that it refuses now says nothing about the master")
	}
	proof, err := b.ReadBack(t.Context(), slave.Addr, relay.TopicQueue{Topic: topic}, 0, func(string) {})
	require.NoError(t, err)
	require.False(t, proof.Complete, "not to be found on a slave proves nothing")
	require.Contains(t, proof.Why, "not registered as a master")
}
