package stack

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// sendPlain sends a message past every proxy, with a key.
func sendPlain(t *testing.T, b *Broker, topic, key string) {
	t.Helper()
	answer, _, err := exchangeWith(t.Context(), b.Addr, 10, map[string]string{
		"producerGroup": "plain", "topic": topic, "defaultTopic": "TBW102", "defaultTopicQueueNums": "1", "queueId": "0",
		"sysFlag": "0", "bornTimestamp": "1", "flag": "0", "reconsumeTimes": "0",
		"properties": "KEYS\x01" + key + "\x02UNIQ_KEY\x01" + key + "\x02",
	}, []byte("x"))
	require.NoError(t, err)
	require.Zero(t, answer.Code, answer.Remark)
}

// findByKey asks the index.
func findByKey(t *testing.T, b *Broker, topic, key string) (found bool) {
	t.Helper()
	answer, _, err := exchange(t.Context(), b.Addr, 12, map[string]string{
		"topic": topic, "key": key, "maxNum": "1", "beginTimestamp": "0", "endTimestamp": strconv.FormatInt(1<<62, 10),
	})
	require.NoError(t, err)
	require.Contains(t, []int{0, 22}, answer.Code, answer.Remark)
	return answer.Code == 0
}

func TestBrokerAdvertisesAProxy(t *testing.T) {
	t.Parallel()
	ns, b := newBroker(t, Options{BrokerIP: "127.0.0.2"})
	require.NoError(t, b.CreateTopic(t.Context(), "proxied", 2, "NORMAL"))
	cluster, err := clusterInfo(t.Context(), ns.Addr)
	require.NoError(t, err)
	require.Contains(t, cluster, `"`+b.Advertised+`"`)
	require.NotContains(t, cluster, b.Addr)

	sendPlain(t, b, "proxied", "one")
	messages, err := b.ReadTopic(t.Context(), "proxied")
	require.NoError(t, err)
	require.Len(t, messages, 1, "without the proxy, which does not even exist")
	require.Equal(t, "one", messages[0].ID)
	_, err = ReadTopic(t.Context(), ns.Addr, "proxied")
	require.ErrorContains(t, err, "refused")
	_, err = b.ReadTopic(t.Context(), "nothing")
	require.ErrorContains(t, err, "configuration of topic nothing")
}

func TestBrokerWithoutItsIndex(t *testing.T) {
	t.Parallel()
	_, b := newBroker(t, Options{Engine: EngineNative})
	require.NoError(t, b.CreateTopic(t.Context(), "indexed", 1, "NORMAL"))
	sendPlain(t, b, "indexed", "before")
	eventually(t, func() bool { return findByKey(t, b, "indexed", "before") })
	require.ErrorIs(t, b.DeleteIndex(), errRuns)
	require.NoError(t, b.Stop(t.Context()))
	require.NoError(t, b.DeleteIndex())
	require.NoError(t, b.Start(t.Context()))

	sendPlain(t, b, "indexed", "after")
	eventually(t, func() bool { return findByKey(t, b, "indexed", "after") })
	require.False(t, findByKey(t, b, "indexed", "before"), "the broker has built its index again")
	messages, err := b.ReadTopic(t.Context(), "indexed")
	require.NoError(t, err)
	require.Len(t, messages, 2)
}

func TestTwoBrokersInOneCluster(t *testing.T) {
	t.Parallel()
	ns, a := newBroker(t, Options{})
	b, err := StartBroker(t.Context(), ns, Options{BrokerName: "broker-b"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	require.NotEqual(t, a.Addr, b.Addr)
	for _, broker := range []*Broker{a, b} {
		require.NoError(t, broker.CreateTopic(t.Context(), "both", 1, "NORMAL"))
		sendPlain(t, broker, "both", broker.Name)
	}
	messages, err := ReadTopic(t.Context(), ns.Addr, "both")
	require.NoError(t, err)
	require.Len(t, messages, 2)
	require.NotEqual(t, messages[0].Broker, messages[1].Broker)
	require.NoError(t, b.Kill())
	left, err := a.ReadTopic(t.Context(), "both")
	require.NoError(t, err)
	require.Len(t, left, 1)
	require.Equal(t, a.Name, left[0].ID)
}

func eventually(t *testing.T, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, 30*time.Second, 20*time.Millisecond)
}
