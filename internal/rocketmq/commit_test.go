package rocketmq

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/relay"
	"github.com/outbox-relay/outbox-relay/internal/stack"
	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
)

func TestHalfIsInvisibleUntilCommitted(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	h := b.store(b.half())
	b.caughtUp()
	require.Empty(t, b.keys(0))

	a := b.commit(h)
	require.NoError(t, a.Err)
	require.Zero(t, a.Code)
	require.Positive(t, a.Took)
	b.caughtUp()
	require.Equal(t, []string{h.UniqKey}, b.keys(0))
}

// With JSON headers, which RocketMQ's own clients send, everything works as with binary ones.
func TestJSONHeadersOnARealBroker(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1, func(o *Options) { o.JSON = true })
	h := b.half()
	h.Keys, h.Tag = `"quoted" é`, "T\\1"
	stored := b.store(h)
	require.Zero(t, b.commit(stored).Code)
	wrong := stored
	wrong.HalfOffset++
	a := b.commit(wrong)
	require.Equal(t, 1, a.Code)
	require.Contains(t, a.Remark, "offset wrong")
	b.caughtUp()
	require.Equal(t, []string{h.UniqKey}, b.keys(0))
	report, err := b.CheckTopic(t.Context(), b.topic)
	require.NoError(t, err)
	require.Equal(t, TopicReport{Topic: b.topic, MessageType: transactionType()}, report)
}

// Why nothing in this package may ever commit a half again. If this fails, RocketMQ has learned to tell, and much of the
// relay can be simpler.
func TestCommittingTwiceMakesTwoMessages(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	h := b.store(b.half())
	require.Zero(t, b.commit(h).Code)
	require.Zero(t, b.commit(h).Code)
	b.caughtUp()
	require.Equal(t, []string{h.UniqKey, h.UniqKey}, b.keys(0))
}

func TestRollbackKeepsTheHalfInvisible(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	h := b.store(b.half())
	a := b.rollback(h)
	require.NoError(t, a.Err)
	require.Zero(t, a.Code)
	b.caughtUp()
	require.Empty(t, b.keys(0))
}

func TestRollbackAfterCommitRemovesNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	h := b.store(b.half())
	require.Zero(t, b.commit(h).Code)
	require.Zero(t, b.rollback(h).Code)
	b.caughtUp()
	require.Equal(t, []string{h.UniqKey}, b.keys(0))
}

func TestCommitAfterRollbackIsDelivered(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	h := b.store(b.half())
	require.Zero(t, b.rollback(h).Code)
	require.Zero(t, b.commit(h).Code)
	b.caughtUp()
	require.Equal(t, []string{h.UniqKey}, b.keys(0))
}

// The broker's fence: after the window it refuses commit and rollback alike, which is how a resolver learns that no commit
// can be accepted any more.
func TestCommitAfterTheWindowIsRefused(t *testing.T) {
	t.Parallel()
	stacktest.Needs(t, stack.Fence)
	b := newBench(t, 1)
	half := b.half()
	half.Immunity = 2 * time.Second
	half.Born = time.Now().Add(-3 * time.Second)
	h := b.store(half)
	require.Equal(t, 604, b.commit(h).Code)
	require.Equal(t, 604, b.rollback(h).Code)

	half = b.half()
	half.Immunity = 2 * time.Second
	young := b.store(half)
	require.Zero(t, b.rollback(young).Code, "0 means not yet")
	require.Eventually(t, func() bool { return b.rollback(young).Code == 604 }, soon, 50*time.Millisecond)
	b.caughtUp()
	require.Empty(t, b.keys(0))
}

// What the broker says to a commit that is not one of its halves: the relay treats each as certainly not applied.
func TestCommitOfSomethingElse(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	h := b.store(b.half())
	for remark, change := range map[string]func(*relay.StoredHalf){
		"Find prepared transaction message failed": func(h *relay.StoredHalf) { h.LogOffset += 1 << 40 },
		"The transaction state table offset wrong": func(h *relay.StoredHalf) { h.HalfOffset++ },
	} {
		wrong := h
		change(&wrong)
		a := b.commit(wrong)
		require.NoError(t, a.Err, remark)
		require.Equal(t, 1, a.Code, remark)
		require.Contains(t, a.Remark, remark)
	}
	other := newClient(t, Options{NameServers: b.servers.NameServer(), Group: "another", Logger: discard()})
	a := other.Rollback(t.Context(), b.address, []relay.StoredHalf{h})[0]
	require.Equal(t, 1, a.Code)
	require.Contains(t, a.Remark, "group wrong")
	b.caughtUp()
	require.Empty(t, b.keys(0))
}

func TestForgetRollsBackOneWay(t *testing.T) {
	t.Parallel()
	stacktest.Needs(t, stack.AdjustableChecks)
	var seen asked
	b := newBench(t, 1, func(o *Options) { o.OnCheck = seen.add })
	pending := func() relay.StoredHalf {
		h := b.half()
		h.Immunity = time.Second
		return b.store(h)
	}
	forgotten := pending()
	b.Forget(b.address, []relay.StoredHalf{forgotten})
	// A check may come before the broker has noted the rollback; from then on there is none. Halves are checked in their order.
	for range 5 {
		before, marker := seen.count(forgotten.UniqKey), pending()
		require.Eventually(t, func() bool { return seen.count(marker.UniqKey) > 0 }, 2*soon, 10*time.Millisecond)
		if seen.count(forgotten.UniqKey) == before {
			return
		}
	}
	t.Fatal("the broker goes on asking about what was forgotten")
}

func TestBatchesAreCommittedCompletely(t *testing.T) {
	t.Parallel()
	b := newBench(t, 4, func(o *Options) { o.Connections = 2 })
	const n = 500
	halves := make([]relay.Half, n)
	for i := range halves {
		halves[i] = b.half()
		halves[i].Queue = i % 4
	}
	stored := b.storeAll(halves)
	var all sync.WaitGroup
	all.Add(n)
	b.Commit(b.address, stored, 10*time.Second, func(i int, a relay.Answer) {
		defer all.Done()
		if a.Err != nil || a.Code != 0 {
			t.Errorf("commit %d: %+v", i, a)
		}
	})
	all.Wait()
	b.caughtUp()
	for queue := range 4 {
		var want []string
		for i := queue; i < n; i += 4 {
			want = append(want, halves[i].UniqKey)
		}
		require.ElementsMatch(t, want, b.keys(queue))
	}
}
