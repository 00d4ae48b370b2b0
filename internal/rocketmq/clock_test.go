package rocketmq

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/relay"
	"github.com/outbox-relay/outbox-relay/internal/stack"
	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
)

func TestStoredAt(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	before := time.Now()
	half := b.half()
	half.Body = make([]byte, 1<<20)
	h := b.store(half)
	after := time.Now()
	stored, err := b.StoredAt(t.Context(), b.address, h)
	require.NoError(t, err)
	require.WithinRange(t, stored, before.Truncate(time.Millisecond), after, "the shared broker has this machine's clock")

	other := h
	other.UniqKey = uniqKey()
	_, err = b.StoredAt(t.Context(), b.address, other)
	require.ErrorContains(t, err, "there is \""+h.UniqKey+"\"")
	other.LogOffset += 1 << 40
	_, err = b.StoredAt(t.Context(), b.address, other)
	var code *CodeError
	require.ErrorAs(t, err, &code)
	require.Equal(t, 1, code.Code)
}

// What the fence is made of: EndTransactionProcessor.rejectCommitOrRollback compares System.currentTimeMillis() with the born
// time, afresh for every request. So it follows the broker's clock on, and back as well: what was refused is accepted.
func TestFenceFollowsTheBrokersClockForwardAndBack(t *testing.T) {
	t.Parallel()
	stacktest.Needs(t, stack.Fence)
	native := stack.Options{Engine: stack.EngineNative}
	ns, err := stack.StartNameServer(t.Context(), native)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, ns.Close()) })
	native.BrokerName, native.FakeClock, native.BrokerConfig = "clock", true, stack.FastTransactions()
	broker, err := stack.StartBroker(t.Context(), ns, native)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, broker.Close()) })
	require.NoError(t, broker.CreateTopic(t.Context(), "moved", 1, "TRANSACTION"))
	b := &bench{
		t: t, topic: "moved", group: "clock", broker: "clock", address: broker.Addr,
		Client: newClient(t, Options{NameServers: ns.Addr, Group: "clock", Logger: discard()}),
	}
	require.NoError(t, b.bindRoute(t.Context(), "moved"))
	answers := func(h relay.StoredHalf, code int) func() bool {
		return func() bool { return b.rollback(h).Code == code }
	}

	half := b.half()
	half.Immunity = time.Minute
	h := b.store(half)
	require.Zero(t, b.rollback(h).Code, "within the window")

	require.NoError(t, broker.SetClock(5*time.Minute))
	require.Eventually(t, answers(h, 604), soon, 50*time.Millisecond, "the window has ended with the broker's clock, minutes early")
	require.Equal(t, 604, b.commit(h).Code)
	b.caughtUp()
	require.Empty(t, b.keys(0), "what is refused is not applied")
	young := b.store(b.half())
	ahead, err := b.StoredAt(t.Context(), b.address, young)
	require.NoError(t, err)
	require.InDelta(t, 5*time.Minute, time.Until(ahead), float64(20*time.Second), "and the broker's clock can be read")

	require.NoError(t, broker.SetClock(0))
	require.Eventually(t, answers(h, 0), soon, 50*time.Millisecond, "back within the window")
	require.Zero(t, b.commit(h).Code, "a commit that was refused once is accepted")
	b.caughtUp()
	require.Equal(t, []string{h.UniqKey}, b.keys(0), "and delivered, the rollbacks notwithstanding")

	late := b.half()
	late.Born = ahead // by the clock that was set back
	future := b.store(late)
	require.Zero(t, b.rollback(future).Code)
	require.Zero(t, b.commit(future).Code, "born in the future is no reason to refuse")
	b.caughtUp()
	require.Equal(t, []string{h.UniqKey, future.UniqKey}, b.keys(0))
}
