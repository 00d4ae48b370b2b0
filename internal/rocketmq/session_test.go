package rocketmq

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/relay"
	"github.com/outbox-relay/outbox-relay/internal/rocketmq/remoting"
	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
	"github.com/outbox-relay/outbox-relay/txcheck"
)

// asked collects check-backs.
type asked struct {
	mu     sync.Mutex
	halves []txcheck.Half
}

func (a *asked) add(h txcheck.Half, _ txcheck.Answer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.halves = append(a.halves, h)
}

func (a *asked) clear() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.halves = nil
}

// count says how often a half was asked about.
func (a *asked) count(uniqKey string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := 0
	for _, h := range a.halves {
		if h.UniqKey == uniqKey {
			n++
		}
	}
	return n
}

func (a *asked) of(uniqKey string) (txcheck.Half, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, h := range a.halves {
		if h.UniqKey == uniqKey {
			return h, true
		}
	}
	return txcheck.Half{}, false
}

// A half of an earlier life is asked about although the new one has sent nothing: binding the topic is enough.
func TestCheckBackReachesANewSessionThatSendsNothing(t *testing.T) {
	t.Parallel()
	servers := stacktest.Shared(t)
	topic, group := servers.Topic(t, 1), servers.Group(t)
	o := Options{NameServers: servers.NameServer(), Group: group, Logger: discard()}

	first, err := New(o)
	require.NoError(t, err)
	require.NoError(t, first.Bind(t.Context(), []string{topic}))
	address, ok := first.Address(first.Queues(topic)[0].Broker)
	require.True(t, ok)
	h := relay.Half{
		Topic: topic, UniqKey: uniqKey(), Born: time.Now(), Immunity: time.Second, Body: []byte("x"),
		Properties: []relay.Property{{Name: txcheck.OriginProperty, Value: "an-origin"}},
	}
	(&bench{Client: first, t: t, address: address}).store(h)
	require.NoError(t, first.Close())

	var seen asked
	o.OnCheck = seen.add
	o.Check = func(txcheck.Half) txcheck.Answer { return txcheck.Rollback }
	second := newClient(t, o)
	require.NoError(t, second.Bind(t.Context(), []string{topic}))
	require.NotEqual(t, first.ClientID(), second.ClientID())
	require.Eventually(t, func() bool { _, ok := seen.of(h.UniqKey); return ok }, soon, 10*time.Millisecond)

	got, _ := seen.of(h.UniqKey)
	require.Equal(t, topic, got.Topic)
	require.Equal(t, group, got.Group)
	require.Equal(t, "an-origin", got.Origin)
	require.Equal(t, time.Second, got.Window)
	require.Equal(t, h.Born.UnixMilli(), got.Born.UnixMilli())
}

// The group has one producer, the session, under the name that ClientID tells: our own connections register nothing.
func TestSessionIsTheGroupsOnlyProducer(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1, func(o *Options) { o.Instance = "pod-7"; o.Connections = 3 })
	b.publish(5)
	require.Regexp(t, `^[0-9.]*@pod-7#[0-9a-f]{8}$`, b.ClientID())
	require.Eventually(t, func() bool { // the first heartbeat comes a second after the start
		cmd, err := b.brokers.Call(t.Context(), b.address, soon, func(batch *remoting.Batch) error {
			batch.Begin(204) // GET_PRODUCER_CONNECTION_LIST
			batch.String("producerGroup", b.group)
			return batch.End(nil)
		})
		require.NoError(t, err)
		if cmd.Code != codeSuccess {
			return false
		}
		root, err := parseFastjson(cmd.Body)
		require.NoError(t, err)
		producers := root.Get("connectionSet.#.clientId").Array()
		require.Len(t, producers, 1)
		require.Equal(t, b.ClientID(), producers[0].String())
		return true
	}, soon, 20*time.Millisecond)
}

// A checker that panics must not end the check loop: the next question is answered.
func TestCheckerThatPanicsIsAskedAgain(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	calls := 0
	b := newBench(t, 1, func(o *Options) {
		o.Check = func(txcheck.Half) txcheck.Answer {
			mu.Lock()
			defer mu.Unlock()
			calls++
			panic("checker")
		}
	})
	h := b.half()
	h.Immunity = time.Second
	b.store(h)
	require.Eventually(t, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return calls > 1
	}, soon, 10*time.Millisecond)
}

func TestRollbackAnsweredToACheckBackEndsTheQuestions(t *testing.T) {
	t.Parallel()
	var seen asked
	b := newBench(t, 1, func(o *Options) {
		o.OnCheck = seen.add
		o.Check = func(txcheck.Half) txcheck.Answer { return txcheck.Rollback }
	})
	h := b.half()
	h.Immunity = time.Second
	b.store(h)
	require.Eventually(t, func() bool { _, ok := seen.of(h.UniqKey); return ok }, soon, 10*time.Millisecond)
	b.caughtUp()
	require.Empty(t, b.keys(0))
}

func TestBindNamesEveryTopicThatIsMissing(t *testing.T) {
	t.Parallel()
	servers := stacktest.Shared(t)
	good := servers.Topic(t, 1)
	c := newClient(t, Options{NameServers: servers.NameServer(), Group: servers.Group(t), Logger: discard()})
	err := c.Bind(t.Context(), []string{good, "no-such-topic-1", "no-such-topic-2"})
	require.ErrorIs(t, err, ErrTopicMissing)
	require.NotErrorIs(t, err, ErrUnreachable)
	require.ErrorContains(t, err, "no-such-topic-1")
	require.ErrorContains(t, err, "no-such-topic-2")
	require.NotContains(t, err.Error(), good)
	require.Empty(t, c.ClientID(), "no session without topics")
}

func TestBindWithoutNameServerIsTemporary(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{NameServers: "127.0.0.1:1;localhost:2", Group: "g", Logger: discard()})
	err := c.Bind(t.Context(), []string{"a", "b"})
	require.ErrorIs(t, err, ErrUnreachable)
	require.NotErrorIs(t, err, ErrTopicMissing)
	var topic *TopicError
	require.ErrorAs(t, err, &topic)
	require.Equal(t, "a", topic.Topic)
}

func TestNameServerByHostName(t *testing.T) {
	t.Parallel()
	servers := stacktest.Shared(t)
	topic := servers.Topic(t, 2)
	_, port, err := net.SplitHostPort(servers.NameServer())
	require.NoError(t, err)
	c := newClient(t, Options{NameServers: "http://localhost:" + port, Group: servers.Group(t), Logger: discard()})
	require.NoError(t, c.Bind(t.Context(), []string{topic}))
	require.Len(t, c.Queues(topic), 2)
}

func TestBindHeedsItsContext(t *testing.T) {
	t.Parallel()
	servers := stacktest.Shared(t)
	topic := servers.Topic(t, 1)
	c := newClient(t, Options{NameServers: servers.NameServer(), Group: servers.Group(t), Logger: discard()})
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("enough")
	cancel(cause)
	require.ErrorIs(t, c.Bind(ctx, []string{topic}), cause)
}
