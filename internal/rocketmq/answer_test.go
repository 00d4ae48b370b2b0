package rocketmq

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/relay"
	"github.com/outbox-relay/outbox-relay/internal/rocketmq/fakemq"
	"github.com/outbox-relay/outbox-relay/internal/rocketmq/remoting"
)

// commitOf sends one commit to a scripted broker.
func commitOf(t *testing.T, c *Client, address string) relay.Answer {
	t.Helper()
	answers := make(chan relay.Answer, 1)
	h := relay.StoredHalf{Topic: "t", UniqKey: "KEY", HalfOffset: 5, LogOffset: 4711}
	c.Commit(address, []relay.StoredHalf{h}, 150*time.Millisecond, func(_ int, a relay.Answer) { answers <- a })
	return <-answers
}

func TestCommitOnTheWire(t *testing.T) {
	t.Parallel()
	c, s := fakeClient(t)
	h := []relay.StoredHalf{{Topic: "t", UniqKey: "KEY", HalfOffset: 5, LogOffset: 4711}}
	require.Zero(t, commitOf(t, c, s.Address()).Code)
	require.Zero(t, c.Rollback(t.Context(), s.Address(), h)[0].Code)
	c.Forget(s.Address(), h)
	require.Eventually(t, func() bool { return len(s.Requests(fakemq.EndTransaction)) == 3 }, soon, time.Millisecond)
	for i, r := range s.Requests(fakemq.EndTransaction) {
		for name, value := range map[string]string{
			"producerGroup": "g", "topic": "t", "tranStateTableOffset": "5", "commitLogOffset": "4711", "msgId": "KEY",
			"transactionId": "KEY", "fromTransactionCheck": "false", "commitOrRollback": []string{"8", "12", "12"}[i],
		} {
			require.Equal(t, value, r.Field(name), name)
		}
		require.Equal(t, i == 2, r.Oneway())
	}
}

// Whatever the broker answers is passed on as it is: what it means is not decided here.
func TestEveryCodeOfACommit(t *testing.T) {
	t.Parallel()
	for _, code := range []int{0, 1, 2, 11, 14, 16, 215, 604, -1} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			t.Parallel()
			c, s := fakeClient(t)
			s.Answer(fakemq.EndTransaction, fakemq.Reply{Code: code, Remark: "why"})
			a := commitOf(t, c, s.Address())
			require.NoError(t, a.Err)
			require.Equal(t, code, a.Code)
			require.Equal(t, "why", a.Remark)
		})
	}
}

// The ways a commit gets into doubt, and the one in which it certainly was not applied.
func TestCommitWithoutAnswer(t *testing.T) {
	t.Parallel()
	c, s := fakeClient(t)
	s.Answer(fakemq.EndTransaction, fakemq.Reply{Drop: true})
	a := commitOf(t, c, s.Address())
	require.ErrorIs(t, a.Err, remoting.ErrTimeout)
	require.True(t, a.Sent)
	require.GreaterOrEqual(t, a.Took, 100*time.Millisecond)

	c, s = fakeClient(t)
	s.Answer(fakemq.EndTransaction, fakemq.Reply{Hangup: true})
	a = commitOf(t, c, s.Address())
	require.ErrorIs(t, a.Err, remoting.ErrLost)
	require.True(t, a.Sent)

	s.Answer(fakemq.EndTransaction, fakemq.Reply{Raw: []byte("garbage!")})
	a = commitOf(t, c, s.Address())
	require.ErrorIs(t, a.Err, remoting.ErrMalformed)
	require.True(t, a.Sent)

	s.Close()
	require.Eventually(t, func() bool { a = commitOf(t, c, s.Address()); return !a.Sent }, soon, time.Millisecond)
	require.ErrorIs(t, a.Err, remoting.ErrUnreachable)
}

// The time that counts for a late 0 runs from the write to the answer.
func TestTookIsMeasuredFromTheWrite(t *testing.T) {
	t.Parallel()
	c, s := fakeClient(t)
	s.Answer(fakemq.EndTransaction, fakemq.Reply{After: 50 * time.Millisecond})
	a := commitOf(t, c, s.Address())
	require.NoError(t, a.Err)
	require.GreaterOrEqual(t, a.Took, 50*time.Millisecond)
	require.Less(t, a.Took, 150*time.Millisecond)
}
