package rocketmq

import (
	"context"
	"maps"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/relay"
	"github.com/outbox-relay/outbox-relay/internal/rocketmq/remoting"
	"github.com/outbox-relay/outbox-relay/internal/stack"
	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
)

// proxied is a client whose name server is the remoting port of a RocketMQ 5 proxy.
type proxied struct {
	*bench
	direct *bench // of the broker behind it
}

func behindProxy(t *testing.T, mode stack.ProxyMode) *proxied {
	t.Helper()
	stacktest.Needs(t, stack.Proxy)
	native := stack.Options{Engine: stack.EngineNative, BrokerName: "b", BrokerConfig: stack.FastTransactions()}
	ns, err := stack.StartNameServer(t.Context(), native)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, ns.Close()) })
	const topic = "orders"
	var broker *stack.Broker
	if mode == stack.ProxyCluster {
		broker, err = stack.StartBroker(t.Context(), ns, native)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, broker.Close()) })
	}
	p, err := stack.StartProxy(t.Context(), ns, mode, native)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	if p.Broker != nil {
		broker = p.Broker
	}
	require.NoError(t, broker.CreateTopic(t.Context(), topic, 1, "TRANSACTION"))
	on := func(nameServer string) *bench {
		b := &bench{
			t: t, topic: topic, group: "proxied", broker: "b",
			Client: newClient(t, Options{NameServers: nameServer, Group: "proxied", Logger: discard()}),
		}
		require.Eventually(t, func() bool { return b.bindRoute(t.Context(), topic) == nil }, soon, 50*time.Millisecond)
		var up bool
		b.address, up = b.Address("b")
		require.True(t, up)
		return b
	}
	x := &proxied{bench: on(p.Addr), direct: on(ns.Addr)}
	require.Equal(t, broker.Addr, x.direct.address)
	require.NotEqual(t, broker.Addr, x.address, "a proxy puts its own address into routes: what holds it for a name server reaches no broker")
	if mode == stack.ProxyLocal { // there it is the port for gRPC, where nothing else is answered
		require.Error(t, x.send(x.half()).Err)
		x.address = p.Addr
	}
	require.Equal(t, []string{p.Addr}, x.Proxies(t.Context()), "it is recognised where it stands for a name server")
	require.Empty(t, x.direct.Proxies(t.Context()))
	return x
}

// ask sends one request and returns the code of the answer, -1 if there is none.
func (b *bench) ask(code int, fields map[string]string, body string) (int, *remoting.Command) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 3*time.Second)
	defer cancel()
	answer, err := b.brokers.Call(ctx, b.address, 3*time.Second, func(r *remoting.Batch) error {
		r.Begin(code)
		for name, value := range fields {
			r.String(name, value)
		}
		return r.End([]byte(body))
	})
	if err != nil {
		return -1, nil
	}
	return answer.Code, answer
}

// What a proxy answers to each request that the relay lives on, without and with the name of the broker, which requests to a
// proxy carry and the relay's do not. docs/compatibility.md has this table.
func TestWhatAProxyAnswers(t *testing.T) {
	t.Parallel()
	for mode, withName := range map[stack.ProxyMode]map[int]int{
		stack.ProxyCluster: {reqPullMessage: codePullNotFound, reqGetMaxOffset: 0, reqGetMinOffset: 0},
		stack.ProxyLocal:   {reqPullMessage: -1, reqGetMaxOffset: -1, reqGetMinOffset: -1},
	} {
		t.Run(string(mode), func(t *testing.T) {
			x := behindProxy(t, mode)
			fields := map[string]string{
				"topic": x.topic, "queueId": "0", "offset": "0", "key": "k", "maxNum": "1", "beginTimestamp": "0", "endTimestamp": "9",
				"consumerGroup": "g", "queueOffset": "0", "maxMsgNums": "1", "sysFlag": "4", "commitOffset": "0",
				"suspendTimeoutMillis": "0", "subscription": "*", "subVersion": "0", "expressionType": "TAG",
			}
			for _, code := range []int{reqBrokerConfig, reqBrokerRuntime, reqTopicConfig, reqClusterInfo, reqQueryMessage, reqViewMessage} {
				got, _ := x.ask(code, fields, "")
				require.Equal(t, codeNotSupported, got, "request %d: a proxy does not know it", code)
			}
			named := maps.Clone(fields)
			named["bname"] = x.broker
			for code, want := range withName {
				got, answer := x.ask(code, fields, "")
				require.Equal(t, 15, got)
				require.Contains(t, answer.Remark(), "doesn't have field bname")
				got, _ = x.ask(code, named, "")
				require.Equal(t, want, got, "request %d with the broker's name", code)
			}
			a := x.send(x.half())
			require.NoError(t, a.Err)
			require.Equal(t, 15, a.Code, "no half of the relay is stored through a proxy, by accident or otherwise")
			require.False(t, a.Stored)

			config, err := x.brokerConfig(t.Context(), x.broker, x.address)
			require.NoError(t, err)
			require.Equal(t, BrokerConfig{Broker: x.broker, Address: x.address, Proxy: true}, config, "and where it stands for a broker")
			config, err = x.direct.brokerConfig(t.Context(), x.broker, x.direct.address)
			require.NoError(t, err)
			require.False(t, config.Proxy)
			x.commitIsForgotten(mode)
		})
	}
}

// commitIsForgotten stores a half in the way a proxy wants it, and commits it: the answer is 0, and nothing happens. The proxy
// knows transactions that its gRPC clients began, and those that brokers ask about; for any other it says SUCCESS. In local mode
// it does not even pass the half on.
func (x *proxied) commitIsForgotten(mode stack.ProxyMode) {
	t, half := x.t, x.half()
	code, answer := x.ask(reqSendMessageV2, map[string]string{
		"a": x.group, "b": x.topic, "c": "TBW102", "d": "4", "e": "0", "f": strconv.Itoa(transactionPrepared),
		"g": strconv.FormatInt(time.Now().UnixMilli(), 10), "h": "0", "j": "0", "k": "false", "l": "0", "m": "false", "n": x.broker,
		"i": "TRAN_MSG\x01true\x02PGROUP\x01" + x.group + "\x02UNIQ_KEY\x01" + half.UniqKey + "\x02CHECK_IMMUNITY_TIME_IN_SECONDS\x0160\x02",
	}, "body")
	nonsense := x.commit(relay.StoredHalf{Topic: x.topic, UniqKey: uniqKey(), HalfOffset: 1 << 40, LogOffset: 1 << 40})
	require.NoError(t, nonsense.Err)
	require.Zero(t, nonsense.Code, "even the commit of a half that never was")
	if mode == stack.ProxyLocal {
		require.Equal(t, -1, code)
		return
	}
	require.Zero(t, code)
	a := halfAnswer(remoting.Reply{Response: answer})
	require.True(t, a.Stored)
	stored := relay.StoredHalf{Topic: x.topic, UniqKey: half.UniqKey, HalfOffset: a.HalfOffset, LogOffset: a.LogOffset}
	for range 3 {
		a := x.commit(stored)
		require.NoError(t, a.Err)
		require.Zero(t, a.Code)
	}
	x.direct.caughtUp()
	require.Empty(t, x.direct.keys(0), "three times OK, and it is not on the topic")
	require.Zero(t, x.direct.commit(stored).Code)
	x.direct.caughtUp()
	require.Equal(t, []string{half.UniqKey}, x.direct.keys(0), "to the broker itself, one is enough")
}
