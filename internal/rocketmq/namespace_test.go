package rocketmq

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/relay"
	"github.com/outbox-relay/outbox-relay/internal/rocketmq/fakemq"
	"github.com/outbox-relay/outbox-relay/internal/stack"
	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
	"github.com/outbox-relay/outbox-relay/txcheck"
)

// newNamespaceBench is a bench whose topic is nsA%T to RocketMQ and T to the client.
func newNamespaceBench(t *testing.T, change ...func(*Options)) (b *bench, onTheWire string) {
	t.Helper()
	servers := stacktest.Shared(t)
	plain := strings.ReplaceAll(servers.Group(t), "-", "_")
	onTheWire = "nsA%" + plain
	require.NoError(t, stack.CreateTopic(t.Context(), servers.NameServer(), servers.Broker(),
		stack.Topic{Name: onTheWire, Queues: 1, MessageType: "TRANSACTION"}))
	o := Options{NameServers: servers.NameServer(), Group: servers.Group(t), Namespace: "nsA", Logger: discard()}
	for _, f := range change {
		f(&o)
	}
	b = &bench{t: t, servers: servers, topic: plain, group: o.Group, Client: newClient(t, o)}
	require.NoError(t, b.Bind(t.Context(), []string{b.topic}))
	b.broker = b.Queues(b.topic)[0].Broker
	b.address, _ = b.Address(b.broker)
	return b, onTheWire
}

// Everything that the relay asks of a broker, in a namespace that it does not know of.
func TestEverythingWorksInANamespace(t *testing.T) {
	t.Parallel()
	b, onTheWire := newNamespaceBench(t)
	h := b.half()
	stored := b.store(h)
	at, err := b.StoredAt(t.Context(), b.address, stored)
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), at, time.Minute)
	require.Zero(t, b.commit(stored).Code)
	b.caughtUp()
	require.Equal(t, []string{h.UniqKey}, b.keys(0))
	ends, err := b.MaxOffsets(t.Context(), b.address, []relay.TopicQueue{{Topic: b.topic}})
	require.NoError(t, err)
	require.Equal(t, []int64{1}, ends)
	require.Eventually(t, func() bool {
		found, err := b.Lookup(t.Context(), b.address, b.topic, h.UniqKey)
		require.NoError(t, err)
		return found
	}, soon, 10*time.Millisecond)
	report, err := b.CheckTopic(t.Context(), b.topic)
	require.NoError(t, err)
	require.Equal(t, TopicReport{Topic: b.topic, MessageType: typeSeen("TRANSACTION")}, report)
	rolled := b.store(b.half())
	require.Zero(t, b.rollback(rolled).Code)
	queues, err := b.WritableQueues(t.Context(), b.topic)
	require.NoError(t, err)
	require.Len(t, queues, 1)

	messages, err := stack.ReadTopic(t.Context(), b.servers.NameServer(), onTheWire)
	require.NoError(t, err)
	require.Len(t, messages, 1, "on the topic with the prefix")
	require.Equal(t, "nsA%"+b.group, messages[0].Properties["PGROUP"])
}

// A name that is written with its prefix means the same topic, and does not get the prefix again.
func TestPrefixIsNotDoubled(t *testing.T) {
	t.Parallel()
	b, onTheWire := newNamespaceBench(t, func(o *Options) { o.Group = "nsA%" + o.Group })
	require.NoError(t, b.Bind(t.Context(), []string{onTheWire}))
	h := b.half()
	h.Topic = onTheWire
	require.Zero(t, b.commit(b.store(h)).Code)
	b.caughtUp()
	require.Equal(t, []string{h.UniqKey}, b.keys(0))
	messages, err := stack.ReadTopic(t.Context(), b.servers.NameServer(), onTheWire)
	require.NoError(t, err)
	require.Len(t, messages, 1)
	require.Equal(t, b.group, messages[0].Properties["PGROUP"])
}

// The session is in the group of the namespace, and what it is asked has the names without it.
func TestCheckBackInANamespace(t *testing.T) {
	t.Parallel()
	var seen asked
	b, _ := newNamespaceBench(t, func(o *Options) {
		o.OnCheck = seen.add
		o.Check = func(txcheck.Half) txcheck.Answer { return txcheck.Rollback }
	})
	h := b.half()
	h.Immunity = time.Second
	b.store(h)
	require.Eventually(t, func() bool { _, ok := seen.of(h.UniqKey); return ok }, soon, 10*time.Millisecond)
	got, _ := seen.of(h.UniqKey)
	require.Equal(t, b.topic, got.Topic)
	require.Equal(t, b.group, got.Group)
	require.Equal(t, b.ClientIDs(), producersOf(t, b, "nsA%"+b.group))
}

func TestTopicThatIsMissingInTheNamespace(t *testing.T) {
	t.Parallel()
	servers := stacktest.Shared(t)
	topic := servers.Topic(t, 1) // there, but without the prefix
	c := newClient(t, Options{NameServers: servers.NameServer(), Group: servers.Group(t), Namespace: "nsA", Logger: discard()})
	err := c.Bind(t.Context(), []string{topic})
	require.ErrorIs(t, err, ErrTopicMissing)
	require.ErrorContains(t, err, fmt.Sprintf("topic %s: topic does not exist: RocketMQ would know it as nsA%%%s, with its namespace", topic, topic))
}

// Every request on the wire, as a scripted peer sees it: none lacks the prefix, and none has it twice.
func TestNamesOnTheWire(t *testing.T) {
	t.Parallel()
	s := fakemq.Listen(t)
	s.Answer(reqSendMessageV2, fakemq.Reply{Code: 1})
	s.Answer(reqEndTransaction, fakemq.Reply{Code: 1})
	c := newClient(t, Options{NameServers: s.Address(), Group: "g", Namespace: "MQ_INST_1_B", Logger: discard()})
	for _, topic := range []string{"orders", "MQ_INST_1_B%orders"} {
		q := relay.TopicQueue{Topic: topic}
		half := relay.StoredHalf{Topic: topic, UniqKey: uniqKey()}
		for range 2 { // the same value again: nothing is written back into it
			c.Halves(t.Context(), s.Address(), []relay.Half{{Topic: topic, UniqKey: uniqKey(), Body: []byte("x")}})
		}
		c.Rollback(t.Context(), s.Address(), []relay.StoredHalf{half})
		_, _ = c.MaxOffsets(t.Context(), s.Address(), []relay.TopicQueue{q})
		_, _ = c.Lookup(t.Context(), s.Address(), topic, "k")
		_, _ = c.StoredAt(t.Context(), s.Address(), half)
		_, _ = c.pull(t.Context(), s.Address(), q, 0, 1)
		_, _ = c.topicAttributes(t.Context(), s.Address(), topic)
		_, _ = c.WritableQueues(t.Context(), topic)
	}
	for code, fields := range map[int][]string{
		reqSendMessageV2: {"b", "a"}, reqEndTransaction: {"topic", "producerGroup"}, reqGetMaxOffset: {"topic"}, reqQueryMessage: {"topic"},
		reqViewMessage: {"topic"}, reqPullMessage: {"topic"}, reqTopicConfig: {"topic"}, reqRoute: {"topic"},
	} {
		requests := s.Requests(code)
		require.NotEmpty(t, requests, code)
		for _, r := range requests {
			require.Equal(t, "MQ_INST_1_B%orders", r.Field(fields[0]), "request %d", code)
			if len(fields) > 1 {
				require.Equal(t, "MQ_INST_1_B%g", r.Field(fields[1]), "request %d", code)
			}
		}
	}
	_, _ = c.Dispatched(t.Context(), s.Address(), 0)
	offsets := s.Requests(reqGetMaxOffset)
	require.Equal(t, halfTopic, offsets[len(offsets)-1].Field("topic"), "RocketMQ's own topics are in no namespace")
}

func TestNamespaceThatCannotBe(t *testing.T) {
	t.Parallel()
	_, err := New(Options{NameServers: "a:1", Group: "g", Namespace: "a%", Logger: discard()})
	require.ErrorContains(t, err, `Options.Namespace "a%" must be`)
}
