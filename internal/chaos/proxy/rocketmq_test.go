package proxy_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/chaos/proxy"
	"github.com/outbox-relay/outbox-relay/internal/relay"
	"github.com/outbox-relay/outbox-relay/internal/rocketmq"
	"github.com/outbox-relay/outbox-relay/internal/stack"
	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
)

// bench is the relay's own client with a proxy before the shared broker. What a test wants to be sure of it does directly.
type bench struct {
	*rocketmq.Client
	t       *testing.T
	servers *stacktest.Servers
	topic   string
	proxy   *proxy.Proxy
}

func newBench(t *testing.T, change ...func(*rocketmq.Options)) *bench {
	t.Helper()
	servers := stacktest.Shared(t)
	b := &bench{
		t: t, servers: servers, topic: servers.Topic(t, 1), proxy: started(t, proxy.RocketMQ, servers.Broker()),
	}
	o := rocketmq.Options{
		NameServers: servers.NameServer(), Group: servers.Group(t), Logger: slog.New(slog.DiscardHandler), SendTimeout: time.Second,
	}
	for _, f := range change {
		f(&o)
	}
	client, err := rocketmq.New(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	b.Client = client
	require.NoError(t, b.Bind(t.Context(), []string{b.topic}))
	return b
}

// send sends a half to an address.
func (b *bench) send(address string) (relay.StoredHalf, relay.HalfAnswer) {
	b.t.Helper()
	var key [16]byte
	_, _ = rand.Read(key[:])
	h := relay.Half{
		Topic: b.topic, UniqKey: fmt.Sprintf("%X", key), Born: time.Now(), Immunity: 10 * time.Second, Body: []byte("body"),
	}
	ctx, cancel := context.WithTimeout(b.t.Context(), soon)
	defer cancel()
	a := b.Halves(ctx, address, []relay.Half{h})[0]
	return relay.StoredHalf{Topic: h.Topic, UniqKey: h.UniqKey, HalfOffset: a.HalfOffset, LogOffset: a.LogOffset}, a
}

// half stores a half, past the proxy.
func (b *bench) half() relay.StoredHalf {
	b.t.Helper()
	for {
		h, a := b.send(b.servers.Broker())
		if a.Err == nil && a.Code == 0 {
			return h
		}
		require.Equal(b.t, 2, a.Code, "busy, if anything: %+v", a)
	}
}

func (b *bench) commit(address string, h relay.StoredHalf, timeout time.Duration) relay.Answer {
	b.t.Helper()
	answers := make(chan relay.Answer, 1)
	b.Commit(address, []relay.StoredHalf{h}, timeout, func(_ int, a relay.Answer) { answers <- a })
	return <-answers
}

// onTopic is what can be read once everything that is stored now can be.
func (b *bench) onTopic() []string {
	b.t.Helper()
	marker := b.half()
	require.Eventually(b.t, func() bool {
		done, err := b.Dispatched(b.t.Context(), b.servers.Broker(), marker.HalfOffset)
		return err == nil && done
	}, soon, 5*time.Millisecond)
	messages, err := stack.ReadTopic(b.t.Context(), b.servers.NameServer(), b.topic)
	require.NoError(b.t, err)
	var keys []string
	for _, m := range messages {
		keys = append(keys, m.ID)
	}
	return keys
}

func TestCommitWhoseAnswerIsLostIsOnTheTopic(t *testing.T) {
	t.Parallel()
	for _, json := range []bool{false, true} {
		for _, then := range []proxy.Then{proxy.Keep, proxy.Cut, proxy.HalfOpen} {
			t.Run(fmt.Sprint("json=", json, " ", then), func(t *testing.T) {
				t.Parallel()
				b := newBench(t, func(o *rocketmq.Options) { o.JSON = json })
				h := b.half()
				add(t, b.proxy, proxy.Rule{Act: proxy.LoseAnswer, Kinds: []proxy.Kind{proxy.Commit}, Times: 1, Then: then})
				a := b.commit(b.proxy.Addr(), h, 500*time.Millisecond)
				require.Error(t, a.Err)
				require.True(t, a.Sent)
				counted(t, b.proxy, proxy.LoseAnswer, proxy.Commit, 1)
				require.Equal(t, []string{h.UniqKey}, b.onTopic())
			})
		}
	}
}

func TestCommitThatIsLostIsNotOnTheTopic(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	lost, kept := b.half(), b.half()
	add(t, b.proxy, proxy.Rule{Act: proxy.LoseRequest, Kinds: []proxy.Kind{proxy.Commit}, Times: 1})
	a := b.commit(b.proxy.Addr(), lost, 300*time.Millisecond)
	require.Error(t, a.Err)
	require.True(t, a.Sent, "as far as the client can tell")
	counted(t, b.proxy, proxy.LoseRequest, proxy.Commit, 1)
	require.Empty(t, b.onTopic())

	require.Zero(t, b.commit(b.proxy.Addr(), kept, soon).Code, "only once")
	require.Equal(t, []string{kept.UniqKey}, b.onTopic())
}

func TestConnectionIsCutRightAfterACommit(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	h := b.half()
	add(t, b.proxy, proxy.Rule{Act: proxy.CutAfter, Kinds: []proxy.Kind{proxy.Commit}, Times: 1})
	a := b.commit(b.proxy.Addr(), h, soon)
	require.Error(t, a.Err)
	require.Less(t, a.Took, soon, "the connection ended, not the patience")
	require.Eventually(t, func() bool { return len(b.onTopic()) == 1 }, soon, 20*time.Millisecond)
	counted(t, b.proxy, proxy.CutAfter, proxy.Commit, 1)
}

func TestHalfWhoseAnswerIsLostIsStored(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	add(t, b.proxy, proxy.Rule{Act: proxy.LoseAnswer, Kinds: []proxy.Kind{proxy.Half}, Times: 1})
	before := b.half()
	_, a := b.send(b.proxy.Addr())
	require.Error(t, a.Err)
	counted(t, b.proxy, proxy.LoseAnswer, proxy.Half, 1)
	require.Greater(t, b.half().HalfOffset, before.HalfOffset+1)
}

func TestRollbackIsToldFromCommit(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	h := b.half()
	add(t, b.proxy, proxy.Rule{Act: proxy.LoseAnswer, Kinds: []proxy.Kind{proxy.Commit}})
	require.Zero(t, b.Rollback(t.Context(), b.proxy.Addr(), []relay.StoredHalf{h})[0].Code)
	counted(t, b.proxy, proxy.PassedAnswer, proxy.Rollback, 1)
	require.NoError(t, b.proxy.Heal())
	require.Zero(t, b.commit(b.proxy.Addr(), h, soon).Code, "no rule is left")
}

func TestDelayHoldsBackAndLosesNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, act := range []proxy.Act{proxy.DelayRequest, proxy.DelayAnswer} {
		remove, err := b.proxy.Add(proxy.Rule{Act: act, Delay: 300 * time.Millisecond})
		require.NoError(t, err)
		a := b.commit(b.proxy.Addr(), b.half(), soon)
		require.NoError(t, a.Err)
		require.Zero(t, a.Code)
		require.GreaterOrEqual(t, a.Took, 300*time.Millisecond)
		remove()
	}
}

func TestReadsAreTold(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	h := b.half()
	require.Zero(t, b.commit(b.proxy.Addr(), h, soon).Code)
	_, err := b.Lookup(t.Context(), b.proxy.Addr(), b.topic, h.UniqKey)
	require.NoError(t, err)
	_, err = b.MaxOffsets(t.Context(), b.proxy.Addr(), []relay.TopicQueue{{Topic: b.topic}})
	require.NoError(t, err)
	for _, kind := range []proxy.Kind{proxy.Commit, proxy.Query, proxy.Offset} {
		require.Positive(t, b.proxy.Counts()[proxy.Count{Act: proxy.PassedRequest, Kind: kind}], "%s: %v", kind, b.proxy.Counts())
	}
}

func TestCutRefuseHalfOpenAndHeal(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	works := func() bool { a := b.commit(b.proxy.Addr(), b.half(), time.Second); return a.Err == nil && a.Code == 0 }
	require.True(t, works())
	require.Equal(t, 1, b.proxy.CutAll())
	require.Eventually(t, works, soon, 20*time.Millisecond, "a new connection")

	require.NoError(t, b.proxy.Refuse())
	b.proxy.CutAll()
	require.Eventually(t, func() bool { a := b.commit(b.proxy.Addr(), b.half(), time.Second); return a.Err != nil && !a.Sent },
		soon, 20*time.Millisecond, "refused: certainly not sent")
	require.NoError(t, b.proxy.Heal())
	require.Eventually(t, works, soon, 20*time.Millisecond)

	require.Equal(t, 1, b.proxy.HalfOpenAll())
	h := b.half()
	a := b.commit(b.proxy.Addr(), h, 300*time.Millisecond)
	require.Error(t, a.Err)
	require.True(t, a.Sent, "the connection took it")
	require.NotContains(t, b.onTopic(), h.UniqKey)
	require.NoError(t, b.proxy.Heal())
	require.Eventually(t, works, soon, 20*time.Millisecond, "the client gives up on what is silent")
}

func TestChanceIsRepeatable(t *testing.T) {
	t.Parallel()
	lost := func() int {
		b := newBench(t)
		add(t, b.proxy, proxy.Rule{Act: proxy.LoseRequest, Kinds: []proxy.Kind{proxy.Offset}, Chance: 0.3})
		count := func(act proxy.Act) int { return b.proxy.Counts()[proxy.Count{Act: act, Kind: proxy.Offset}] }
		seen := func() int { return count(proxy.LoseRequest) + count(proxy.PassedRequest) }
		for n := range 20 {
			require.Eventually(t, func() bool { // until it has come to the proxy
				if seen() == n {
					ctx, cancel := context.WithTimeout(t.Context(), time.Second)
					defer cancel()
					_, _ = b.MaxOffsets(ctx, b.proxy.Addr(), []relay.TopicQueue{{Topic: b.topic}})
				}
				return seen() == n+1
			}, soon, time.Millisecond)
		}
		return count(proxy.LoseRequest)
	}
	n := lost()
	require.Positive(t, n)
	require.Equal(t, n, lost())
}
