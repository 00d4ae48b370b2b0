package rocketmq

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/relay"
	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
)

const soon = 15 * time.Second // a deadline for what takes milliseconds

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// bench is a client of the shared broker with a topic of its own.
type bench struct {
	*Client
	t       testing.TB
	servers *stacktest.Servers
	topic   string
	group   string
	address string
	broker  string
}

func newBench(t testing.TB, queues int, change ...func(*Options)) *bench {
	t.Helper()
	servers := stacktest.Shared(t)
	b := &bench{t: t, servers: servers, topic: servers.Topic(t, queues), group: servers.Group(t)}
	o := Options{NameServers: servers.NameServer(), Group: b.group, Logger: discard()}
	for _, f := range change {
		f(&o)
	}
	b.Client = newClient(t, o)
	require.NoError(t, b.Bind(t.Context(), []string{b.topic}))
	q := b.Queues(b.topic)
	require.Len(t, q, queues)
	b.broker = q[0].Broker
	var ok bool
	b.address, ok = b.Address(b.broker)
	require.True(t, ok)
	return b
}

func newClient(t testing.TB, o Options) *Client {
	t.Helper()
	c, err := New(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

func uniqKey() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	return fmt.Sprintf("%X", b)
}

func (b *bench) half() relay.Half {
	return relay.Half{
		Topic: b.topic, UniqKey: uniqKey(), Born: time.Now(), Immunity: 10 * time.Second, Keys: "dedup-1 business-2", Tag: "T",
		Properties: []relay.Property{{Name: "outbox-id", Value: "42"}}, Body: []byte("body"),
	}
}

// send sends one half until the answer is not 2. A broker on a busy machine gives that to what waited for 200 ms in its queue:
// not stored.
func (b *bench) send(h relay.Half) relay.HalfAnswer {
	b.t.Helper()
	for deadline := time.Now().Add(soon); ; {
		a := b.Halves(b.t.Context(), b.address, []relay.Half{h})[0]
		if a.Err != nil || a.Code != 2 || time.Now().After(deadline) {
			return a
		}
	}
}

// storeAll sends halves until each is stored.
func (b *bench) storeAll(halves []relay.Half) []relay.StoredHalf {
	b.t.Helper()
	stored := make([]relay.StoredHalf, len(halves))
	for at := 0; at < len(halves); {
		part := halves[at:min(at+50, len(halves))]
		for i, a := range b.Halves(b.t.Context(), b.address, part) {
			if a.Err == nil && a.Code == 2 {
				a = b.send(part[i])
			}
			require.NoError(b.t, a.Err)
			require.Zero(b.t, a.Code, a.Remark)
			require.True(b.t, a.Stored)
			stored[at] = relay.StoredHalf{
				Topic: part[i].Topic, UniqKey: part[i].UniqKey, HalfOffset: a.HalfOffset, LogOffset: a.LogOffset,
			}
			at++
		}
	}
	return stored
}

func (b *bench) store(h relay.Half) relay.StoredHalf {
	b.t.Helper()
	return b.storeAll([]relay.Half{h})[0]
}

// commit commits one half and returns the answer.
func (b *bench) commit(h relay.StoredHalf) relay.Answer {
	b.t.Helper()
	answers := make(chan relay.Answer, 1)
	b.Commit(b.address, []relay.StoredHalf{h}, 5*time.Second, func(_ int, a relay.Answer) { answers <- a })
	return <-answers
}

func (b *bench) rollback(h relay.StoredHalf) relay.Answer {
	b.t.Helper()
	return b.Rollback(b.t.Context(), b.address, []relay.StoredHalf{h})[0]
}

// keys reads a queue of the topic from its beginning.
func (b *bench) keys(queue int) []string {
	b.t.Helper()
	var keys []string
	ctx, cancel := context.WithTimeout(b.t.Context(), soon)
	defer cancel()
	proof, err := b.ReadBack(ctx, b.address, relay.TopicQueue{Topic: b.topic, Queue: queue}, 0, func(k string) { keys = append(keys, k) })
	require.NoError(b.t, err)
	require.True(b.t, proof.Complete, proof.Why)
	require.Equal(b.t, len(keys), proof.Messages)
	return keys
}

// caughtUp waits until everything that is stored now can be read.
func (b *bench) caughtUp() {
	b.t.Helper()
	marker := b.store(b.half())
	b.Forget(b.address, []relay.StoredHalf{marker})
	require.Eventually(b.t, func() bool {
		ok, err := b.Dispatched(b.t.Context(), b.address, marker.HalfOffset)
		require.NoError(b.t, err)
		return ok
	}, soon, time.Millisecond)
}
