package rocketmq

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/rocketmq/fakemq"
	"github.com/outbox-relay/outbox-relay/internal/stack"
	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
)

func TestTransactionTopicCanBeExact(t *testing.T) {
	t.Parallel()
	b := newBench(t, 3)
	report, err := b.CheckTopic(t.Context(), b.topic)
	require.NoError(t, err)
	require.Equal(t, TopicReport{Topic: b.topic, MessageType: transactionType()}, report)

	_, err = b.CheckTopic(t.Context(), "no-such-topic")
	require.ErrorIs(t, err, ErrTopicMissing)
}

// transactionType is what a broker says about the type of a TRANSACTION topic.
func transactionType() string {
	if stack.MessageTypes.Missing(stack.RocketMQVersion()) != "" {
		return ""
	}
	return "TRANSACTION"
}

func TestTypeOfATopicIsReported(t *testing.T) {
	t.Parallel()
	stacktest.Needs(t, stack.MessageTypes)
	b := newBench(t, 1)
	for _, messageType := range []string{"NORMAL", "FIFO", "DELAY"} {
		topic := b.servers.TopicOf(t, 1, messageType)
		report, err := b.CheckTopic(t.Context(), topic)
		require.NoError(t, err)
		require.Equal(t, messageType, report.MessageType)
	}
}

func TestTopicsThatCannotBeReadBack(t *testing.T) {
	t.Parallel()
	route := func(perm, read int, more string) string {
		return fmt.Sprintf(`{"brokerDatas":[{"brokerAddrs":{"0":"%%s"},"brokerName":"b"}],"queueDatas":[{"brokerName":"b","perm":%d,`+
			`"readQueueNums":%d,"writeQueueNums":2}]%s}`, perm, read, more)
	}
	for name, c := range map[string]struct {
		route      string
		attributes string
		pull       int
		why        string
	}{
		"static":        {route(6, 2, `,"topicQueueMappingByBroker":{"b":{"topic":"t"}}`), `{}`, 19, "static topic"},
		"write-only":    {route(2, 2, ""), `{}`, 19, "permission W"},
		"unread queues": {route(6, 1, ""), `{}`, 19, "write 2 queues and read 1"},
		"compacted":     {route(6, 2, ""), `{"cleanup.policy":"COMPACTION"}`, 19, "compacted"},
		"batch queues":  {route(6, 2, ""), `{"queue.type":"BatchCQ"}`, 19, "BatchCQ"},
		"forbidden":     {route(6, 2, ""), `{}`, 16, "answered 16"},
		"no group":      {route(6, 2, ""), `{}`, 26, "answered 26"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c2, s := fakeClient(t)
			s.Answer(fakemq.Route, fakemq.Reply{Body: fmt.Appendf(nil, c.route, s.Address())})
			s.Answer(reqTopicConfig, fakemq.Reply{Body: []byte(`{"attributes":` + c.attributes + `}`)})
			s.Answer(reqPullMessage, fakemq.Reply{Code: c.pull})
			report, err := c2.CheckTopic(t.Context(), "t")
			require.NoError(t, err)
			require.Len(t, report.NotExact, 1)
			require.Contains(t, report.NotExact[0], c.why)
		})
	}
}

// Missing admin rights are no reason against a topic.
func TestTopicIsCheckedWithoutAdminRights(t *testing.T) {
	t.Parallel()
	c, s := fakeClient(t)
	s.Answer(reqTopicConfig, fakemq.Reply{Code: 16})
	s.Answer(reqPullMessage, fakemq.Reply{Code: 19})
	report, err := c.CheckTopic(t.Context(), "t")
	require.NoError(t, err)
	require.Equal(t, TopicReport{Topic: "t"}, report)
	require.Len(t, s.Requests(reqPullMessage), 2, "one for each queue")

	s.Answer(reqPullMessage, fakemq.Reply{Hangup: true})
	_, err = c.CheckTopic(t.Context(), "t")
	require.ErrorIs(t, err, ErrUnreachable)
}

func TestConfigurationOfARealBroker(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	configs, err := b.BrokerConfigs(t.Context())
	require.NoError(t, err)
	require.Len(t, configs, 1)
	c := configs[0]
	require.True(t, c.Readable)
	require.Equal(t, b.broker, c.Broker)
	require.Equal(t, b.address, c.Address)
	require.Equal(t, time.Second, c.TransactionTimeout)
	require.Equal(t, 3*time.Second, c.SlaveTimeout)
	require.Equal(t, 5*time.Second, c.SyncFlushTimeout)
	require.Equal(t, 72*time.Hour, c.FileReservedTime)
	require.Equal(t, 4<<20, c.MaxMessageSize)
	if stack.InSyncReplicas.Missing(stack.RocketMQVersion()) == "" {
		require.Equal(t, 1, c.InSyncReplicas)
	}
	require.Equal(t, "ASYNC_MASTER", c.BrokerRole)
	require.Contains(t, []string{"SYNC_FLUSH", "ASYNC_FLUSH"}, c.FlushDiskType)
	require.False(t, c.AllAckInSync)
	require.False(t, c.AutoCreateTopic)
	require.Equal(t, "V"+strings.ReplaceAll(stack.RocketMQVersion(), ".", "_"), c.Version)
	require.Equal(t, stack.Fence.Missing(stack.RocketMQVersion()) == "", c.HasFence(), c.Version)
}

func TestBrokerThatDoesNotLetUsAsk(t *testing.T) {
	t.Parallel()
	c, s := fakeClient(t)
	configs, err := c.BrokerConfigs(t.Context())
	require.NoError(t, err)
	require.Equal(t, []BrokerConfig{{Broker: "fake", Address: s.Address(), Proxy: true}}, configs, "it does not know what every broker knows")
	s.Answer(reqBrokerRuntime, fakemq.Reply{Code: codeNoPermission})
	s.Answer(reqBrokerConfig, fakemq.Reply{Code: codeNoPermission})
	configs, err = c.BrokerConfigs(t.Context())
	require.NoError(t, err)
	require.Equal(t, []BrokerConfig{{Broker: "fake", Address: s.Address()}}, configs)

	s.Answer(reqBrokerRuntime, fakemq.Reply{Hangup: true})
	_, err = c.BrokerConfigs(t.Context())
	require.ErrorIs(t, err, ErrUnreachable)
}

func TestVersionsWithTheFence(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]bool{
		"V4_9_7": false, "V5_0_0": false, "V5_1_0": false, "V5_1_3": false, "V5_1_4": true, "V5_2_0": true, "V5_3_3": true,
		"V5_10_0": true, "V6_0_0": true, "": false, "5.3.3": false, "HIGHER_VERSION": false,
	} {
		require.Equal(t, want, (&BrokerConfig{Version: version}).HasFence(), version)
	}
}
