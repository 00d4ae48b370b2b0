package rocketmq

import (
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/relay"
	"github.com/outbox-relay/outbox-relay/internal/stack"
	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
	"github.com/outbox-relay/outbox-relay/txcheck"
)

// What internal/model takes for granted about the broker. That a commit is not remembered, and a rollback changes nothing of
// what can follow, is in commit_test.go.

// ends is how the end of a half's window was seen: a probe, a commit and another probe, one after the other's answer.
type ends struct{ before, commit, after relay.Answer }

// answered reports whether the broker took a position on all three.
func (e ends) answered() bool {
	for _, a := range []relay.Answer{e.before, e.commit, e.after} {
		if a.Err != nil || a.Code != codeSuccess && a.Code != codeIllegalOperation {
			return false
		}
	}
	return true
}

const codeIllegalOperation = 604

// The resolver's fence: a rollback is answered 604 exactly when a commit is refused. So a probe and a commit, sent by two
// relays, meet around the ends of many windows. Each lane keeps to the end: after a refusal the next window ends later, after
// an acceptance earlier.
func TestProbeIsRefusedExactlyWhenCommitsAre(t *testing.T) {
	t.Parallel()
	stacktest.Needs(t, stack.Fence)
	b := newBench(t, 1)
	other := newClient(t, Options{NameServers: b.servers.NameServer(), Group: b.group, Logger: discard()})
	const lanes, each = 6, 100
	var mu sync.Mutex
	seen := make(map[relay.StoredHalf]ends)
	t.Run("lanes", func(t *testing.T) {
		for lane := range lanes {
			t.Run(strconv.Itoa(lane), func(t *testing.T) {
				t.Parallel()
				b := b.in(t)
				ahead := 20 * time.Millisecond
				for range each {
					h := b.half()
					h.Immunity = 2 * time.Second
					h.Born = time.Now().Add(ahead - h.Immunity)
					stored := b.store(h)
					var e ends
					e.before = other.Rollback(t.Context(), b.address, []relay.StoredHalf{stored})[0]
					e.commit = b.commit(stored)
					e.after = other.Rollback(t.Context(), b.address, []relay.StoredHalf{stored})[0]
					ahead += 2 * time.Millisecond
					if e.commit.Err == nil && e.commit.Code == codeSuccess {
						ahead -= 4 * time.Millisecond
					}
					mu.Lock()
					seen[stored] = e
					mu.Unlock()
				}
			})
		}
	})
	kinds := map[[3]int]int{}
	for _, e := range seen {
		if !e.answered() { // busy, or cut off: it says nothing
			continue
		}
		kinds[[3]int{e.before.Code, e.commit.Code, e.after.Code}]++
		require.False(t, e.before.Code != 0 && e.commit.Code == 0, "a commit was accepted after a probe had been refused")
		require.False(t, e.commit.Code != 0 && e.after.Code == 0, "a probe was accepted after a commit had been refused")
	}
	t.Logf("answers to probe, commit, probe: %v", kinds)
	require.Positive(t, kinds[[3]int{0, 0, 0}]+kinds[[3]int{0, 0, 604}], "no commit came before the end of its window")
	require.Positive(t, kinds[[3]int{0, 604, 604}]+kinds[[3]int{604, 604, 604}], "no commit came after the end of its window")
	b.appliedAsAnswered(seen)
}

// in is the same bench, for a subtest.
func (b *bench) in(t *testing.T) *bench {
	same := *b
	same.t = t
	return &same
}

// appliedAsAnswered reads the queue: what was answered 0 is there, once; what was refused is not.
func (b *bench) appliedAsAnswered(seen map[relay.StoredHalf]ends) {
	b.t.Helper()
	b.caughtUp()
	copies := map[string]int{}
	for _, key := range b.keys(0) {
		copies[key]++
	}
	for half, e := range seen {
		switch {
		case e.commit.Err != nil: // in doubt
			require.LessOrEqual(b.t, copies[half.UniqKey], 1)
		case e.commit.Code == codeSuccess:
			require.Equal(b.t, 1, copies[half.UniqKey])
		default:
			require.Zero(b.t, copies[half.UniqKey], "a commit that was refused (%d) was applied", e.commit.Code)
		}
	}
}

// patientBroker is a broker of the test's own with this transactionTimeOut, and a client of it that has bound nothing yet.
func patientBroker(t *testing.T, timeout time.Duration, settings map[string]string, o Options) (*bench, *stack.Broker) {
	t.Helper()
	const topic = "topic-patient"
	ns := startNameServer(t)
	settings["transactionTimeOut"] = strconv.FormatInt(timeout.Milliseconds(), 10)
	broker := startBroker(t, ns, "patient", topic, settings)
	o.NameServers, o.Group, o.Logger = ns.Addr, "patient", discard()
	return &bench{t: t, topic: topic, group: o.Group, broker: broker.Name, address: broker.Addr, Client: newClient(t, o)}, broker
}

// The window is the half's own, but not shorter than the broker's transactionTimeOut: a probe is then answered 0 for longer,
// and the resolver goes on asking.
func TestWindowIsNotShorterThanTheBrokersTimeout(t *testing.T) {
	t.Parallel()
	stacktest.Needs(t, stack.Fence)
	const timeout = 60 * time.Second
	b, broker := patientBroker(t, timeout, map[string]string{"transactionCheckInterval": "600000"}, Options{})
	require.NoError(t, b.bindRoute(t.Context(), b.topic))
	for name, c := range map[string]struct {
		window, age time.Duration
		code        int
	}{
		"its own window is over, the timeout is not": {2 * time.Second, timeout / 2, codeSuccess},
		"both are over": {2 * time.Second, timeout + time.Second, codeIllegalOperation},
		"the timeout is over, its own window is not": {2 * timeout, timeout + timeout/2, codeSuccess},
		"both are over, its own is the longer":       {2 * timeout, 2*timeout + time.Second, codeIllegalOperation},
	} {
		h := b.half()
		h.Immunity, h.Born = c.window, time.Now().Add(-c.age)
		stored := b.store(h)
		assert.Equal(t, c.code, b.rollback(stored).Code, "probe: %s", name)
		assert.Equal(t, c.code, b.commit(stored).Code, "commit: %s", name)
		assert.Equal(t, c.code, b.rollback(stored).Code, "probe after the commit: %s", name)
	}
	require.NoError(t, broker.Close())
}

// A half that carries the least immunity is asked about long before its window is over, which is the broker's transactionTimeOut
// then. The checker's ROLLBACK ends the questions and nothing else: the commit is accepted after it, once, and refused at the end.
func TestLeastImmunityLeavesTheWindowToTheBrokersTimeout(t *testing.T) {
	t.Parallel()
	stacktest.Needs(t, stack.Fence)
	const timeout = 20 * time.Second
	var seen asked
	b, broker := patientBroker(t, timeout, map[string]string{"transactionCheckInterval": "200", "transactionOpBatchInterval": "100"},
		Options{OnCheck: seen.add, Check: func(txcheck.Half) txcheck.Answer { return txcheck.Rollback }})
	require.Eventually(t, func() bool { return b.Bind(t.Context(), []string{b.topic}) == nil }, soon, 50*time.Millisecond)

	h, late := b.half(), b.half()
	h.Immunity, late.Immunity = time.Second, time.Second
	late.Born = late.Born.Add(-timeout - time.Second)
	stored, storedLate := b.store(h), b.store(late)
	require.Eventually(t, func() bool { return seen.count(h.UniqKey) > 0 }, soon, time.Millisecond)
	require.Less(t, time.Since(h.Born), timeout, "the machine is too slow for this test")
	b.caughtUp() // the answer is there before this half is
	require.Equal(t, codeSuccess, b.commit(stored).Code)
	require.Equal(t, codeIllegalOperation, b.commit(storedLate).Code)
	require.Equal(t, codeIllegalOperation, b.rollback(storedLate).Code)
	b.caughtUp()
	require.Equal(t, []string{h.UniqKey}, b.keys(0))
	require.NoError(t, broker.Close())
}

// The resolver's barrier: once the dispatcher has passed a half that was sent after a commit was answered, the message can be
// read, whatever its topic and queue. Several clients commit to several topics at once.
func TestWhatWasCommittedBeforeABarrierCanBeRead(t *testing.T) {
	t.Parallel()
	const clients, queues, rounds, commits = 4, 4, 12, 100
	var late [clients]int
	t.Run("clients", func(t *testing.T) {
		for i := range clients {
			t.Run(strconv.Itoa(i), func(t *testing.T) {
				t.Parallel()
				b := newBench(t, queues)
				from := make([]int64, queues)
				for range rounds {
					late[i] += b.commitBehindABarrier(from, commits)
				}
			})
		}
	})
	t.Logf("%d commits; not readable yet when the last of their round was answered, by client: %v", clients*rounds*commits, late)
}

// commitBehindABarrier commits n messages, all at once, waits for the answers, then for a barrier, and reads them: the queues
// go on from the offsets in from. It returns how many could not be read before the barrier.
func (b *bench) commitBehindABarrier(from []int64, n int) (late int) {
	b.t.Helper()
	halves := make([]relay.Half, n)
	for i := range halves {
		halves[i] = b.half()
		halves[i].Queue = i % len(from)
		halves[i].Immunity = time.Minute
	}
	acknowledged := b.commitAll(b.storeAll(halves))
	where := make([]relay.TopicQueue, len(from))
	for q := range where {
		where[q] = relay.TopicQueue{Topic: b.topic, Queue: q}
	}
	ends, err := b.MaxOffsets(b.t.Context(), b.address, where)
	require.NoError(b.t, err)
	late = len(acknowledged)
	for q, end := range ends {
		late -= int(end - from[q])
	}
	b.caughtUp()
	found := map[string]int{}
	for q := range where {
		proof, err := b.ReadBack(b.t.Context(), b.address, where[q], from[q], func(key string) { found[key]++ })
		require.NoError(b.t, err)
		require.True(b.t, proof.Complete, proof.Why)
		from[q] += int64(proof.Messages)
	}
	for _, key := range acknowledged {
		require.Equal(b.t, 1, found[key], "%s was acknowledged before the barrier", key)
	}
	return max(late, 0)
}

// commitAll commits halves and returns the keys of those that were answered 0.
func (b *bench) commitAll(stored []relay.StoredHalf) (acknowledged []string) {
	var mu sync.Mutex
	var all sync.WaitGroup
	all.Add(len(stored))
	b.Commit(b.address, stored, 30*time.Second, func(i int, a relay.Answer) {
		defer all.Done()
		if a.Err == nil && a.Code == codeSuccess {
			mu.Lock()
			acknowledged = append(acknowledged, stored[i].UniqKey)
			mu.Unlock()
		}
	})
	all.Wait()
	return acknowledged
}

// Two relays that commit the same half at the same time make two messages, and a rollback between two commits keeps neither
// away.
func TestNothingIsRememberedOfAHalf(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	other := &bench{t: t, address: b.address, Client: newClient(t, Options{NameServers: b.servers.NameServer(), Group: b.group, Logger: discard()})}
	h := b.half()
	h.Immunity = time.Minute
	racing := b.store(h)
	var both sync.WaitGroup
	for _, c := range []*bench{b, other} {
		both.Go(func() { assert.Zero(t, c.commit(racing).Code) })
	}
	both.Wait()
	h.UniqKey = uniqKey()
	between := b.store(h)
	require.Zero(t, b.commit(between).Code)
	require.Zero(t, other.rollback(between).Code)
	require.Zero(t, b.commit(between).Code)
	b.caughtUp()
	require.ElementsMatch(t, []string{racing.UniqKey, racing.UniqKey, between.UniqKey, between.UniqKey}, b.keys(0))
}
