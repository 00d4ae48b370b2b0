package app

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/stack"
	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
)

// The remoting port of a RocketMQ 5 proxy in the place of a name server: the relay ends at once, and says why.
func TestProxyIsRefusedAtStart(t *testing.T) {
	t.Parallel()
	stacktest.Needs(t, stack.Proxy)
	native := stack.Options{Engine: stack.EngineNative, BrokerName: "behind-it"}
	ns, err := stack.StartNameServer(t.Context(), native)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, ns.Close()) })
	broker, err := stack.StartBroker(t.Context(), ns, native)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, broker.Close()) })
	proxy, err := stack.StartProxy(t.Context(), ns, stack.ProxyCluster, native)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, proxy.Close()) })
	require.NoError(t, broker.CreateTopic(t.Context(), "orders", 2, "TRANSACTION"))

	w := newWorld(t)
	w.topic, w.nameServer = "orders", proxy.Addr
	w.insert(3)
	p := start(t, w.config())
	err = <-p.done
	require.ErrorContains(t, err, proxy.Addr+" is a proxy, no name server: it answers 0 to a commit and does not carry it out")
	require.ErrorContains(t, err, "what answers for broker behind-it at "+proxy.Addr+" is a proxy, no broker")
	require.ErrorContains(t, err, "Give nameservers the addresses of name servers")
	require.Equal(t, 3, w.count("outbox"), "nothing was touched")
	require.Zero(t, w.count("outbox_attempt"))
}
