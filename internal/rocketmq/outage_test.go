package rocketmq

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/relay"
	"github.com/outbox-relay/outbox-relay/internal/rocketmq/remoting"
	"github.com/outbox-relay/outbox-relay/internal/stack"
)

func startNameServer(t *testing.T) *stack.NameServer {
	t.Helper()
	ns, err := stack.StartNameServer(t.Context(), stack.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, ns.Close()) })
	return ns
}

// startBroker starts a broker with a topic of its own. Such brokers take seconds and 400 MB each: few tests have one.
func startBroker(t *testing.T, ns *stack.NameServer, name, topic string, config map[string]string) *stack.Broker {
	t.Helper()
	b, err := stack.StartBroker(t.Context(), ns, stack.Options{BrokerName: name, BrokerConfig: config})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	require.NoError(t, b.CreateTopic(t.Context(), topic, 1, "TRANSACTION"))
	return b
}

// outage is a client of two brokers that both have the topic.
type outage struct {
	*bench // of broker a
	a, b   *stack.Broker
}

func (o *outage) brokers() []string {
	var names []string
	for _, q := range o.Queues(o.topic) {
		names = append(names, q.Broker)
	}
	slices.Sort(names)
	return names
}

// fast sends to broker b and wants it done soon, whatever is wrong with broker a.
func (o *outage) fast(n int) {
	o.t.Helper()
	for range n {
		start := time.Now()
		a := o.Halves(o.t.Context(), o.b.Addr, []relay.Half{o.half()})[0]
		require.NoError(o.t, a.Err)
		require.Contains(o.t, []int{0, 2}, a.Code, a.Remark) // 2: the machine is busy
		require.Less(o.t, time.Since(start), 2*time.Second)
	}
}

// One broker stopped, killed and started again, the other one in use all the time.
func TestOneBrokersOutage(t *testing.T) {
	t.Parallel()
	const topic = "outage"
	ns := startNameServer(t)
	// The broker asks often and does not give up before the outage is over.
	config := stack.FastTransactions()
	config["transactionCheckMax"] = "1000"
	var seen asked
	o := outage{a: startBroker(t, ns, "a", topic, config), b: startBroker(t, ns, "b", topic, nil)}
	o.bench = &bench{
		t: t, topic: topic, group: "outage", address: o.a.Addr, broker: "a",
		Client: newClient(t, Options{NameServers: ns.Addr, Group: "outage", SendTimeout: 3 * time.Second, OnCheck: seen.add, Logger: discard()}),
	}
	require.Eventually(t, func() bool { return o.Bind(t.Context(), []string{topic}) == nil && len(o.Queues(topic)) == 2 }, soon, 50*time.Millisecond)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { _ = o.Run(ctx) }()
	acknowledged := o.publish(3)
	o.fast(1)
	pending := o.half()
	pending.Immunity = time.Second
	o.store(pending)

	require.NoError(t, o.a.Pause())
	unanswered := make(chan relay.HalfAnswer, 1)
	go func() { unanswered <- o.Halves(t.Context(), o.a.Addr, []relay.Half{o.half()})[0] }()
	o.fast(50)
	a := <-unanswered
	require.ErrorIs(t, a.Err, remoting.ErrTimeout)
	require.True(t, a.Sent)
	require.Equal(t, []string{"b"}, o.brokers(), "the circuit is open")
	_, ok := o.Address("a")
	require.False(t, ok)
	require.Len(t, o.Routed(topic), 2)
	o.fast(5)
	require.NoError(t, o.a.Resume())
	require.Eventually(t, func() bool { return len(o.brokers()) == 2 }, soon, 10*time.Millisecond)

	require.NoError(t, o.a.Pause())
	go func() { unanswered <- o.Halves(t.Context(), o.a.Addr, []relay.Half{o.half(), o.half()})[1] }()
	require.Never(t, func() bool { return len(unanswered) > 0 }, 100*time.Millisecond, 10*time.Millisecond)
	require.NoError(t, o.a.Kill())
	a = <-unanswered
	require.ErrorIs(t, a.Err, remoting.ErrLost)
	require.True(t, a.Sent, "in flight: perhaps it was received")
	require.Eventually(t, func() bool {
		a = o.Halves(t.Context(), o.a.Addr, []relay.Half{o.half()})[0]
		return a.Err != nil && !a.Sent
	}, soon, 10*time.Millisecond)
	require.ErrorIs(t, a.Err, remoting.ErrUnreachable)
	o.fast(5)

	require.NoError(t, o.a.Start(t.Context()))
	require.Eventually(t, func() bool { return len(o.brokers()) == 2 }, 2*soon, 10*time.Millisecond)
	o.caughtUp()
	require.Equal(t, acknowledged, o.keys(0), "what was acknowledged outlives the broker")
	seen.clear()
	require.Eventually(t, func() bool { _, ok := seen.of(pending.UniqKey); return ok }, time.Minute, 50*time.Millisecond,
		"the session is asked by the broker of after about a half of before")
}
