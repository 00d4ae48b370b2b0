package rocketmq

import (
	"context"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/relay"
	"github.com/outbox-relay/outbox-relay/internal/rocketmq/remoting"
	"github.com/outbox-relay/outbox-relay/internal/stack"
	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
)

// A line is a network that loses what is sent or what is answered, while connections stay up.
type line struct{ deaf, mute atomic.Bool }

func (l *line) dial(ctx context.Context, address string) (net.Conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", address)
	return &lineConn{Conn: c, line: l}, err
}

type lineConn struct {
	net.Conn
	line *line
}

// Write says that all is well, as a kernel does whose packets get lost.
func (c *lineConn) Write(b []byte) (int, error) {
	if c.line.mute.Load() {
		return len(b), nil
	}
	return c.Conn.Write(b)
}

// Read drops what comes while the line is deaf, from the beginning of an answer on.
func (c *lineConn) Read(b []byte) (int, error) {
	for {
		n, err := c.Conn.Read(b)
		if err != nil || !c.line.deaf.Load() {
			return n, err
		}
	}
}

// fenced asks the broker to roll back until it says that no commit can be accepted any more.
func (b *bench) fenced(h relay.StoredHalf) {
	b.t.Helper()
	require.Eventually(b.t, func() bool {
		a := b.rollback(h)
		return a.Err == nil && a.Code == 604
	}, soon, 50*time.Millisecond)
}

// The two commits below look the same to us: written, not answered. What the broker did is found out by the steps that the
// relay takes: the index at once; the fence; the dispatcher; the queue.
func TestDoubtfulCommitIsDecidedByReading(t *testing.T) {
	t.Parallel()
	stacktest.Needs(t, stack.Fence)
	for name, c := range map[string]struct {
		lose    func(*line) *atomic.Bool
		applied bool
	}{
		"answer lost":  {func(l *line) *atomic.Bool { return &l.deaf }, true},
		"request lost": {func(l *line) *atomic.Bool { return &l.mute }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var l line
			b := newBench(t, 1, func(o *Options) { o.Dial = l.dial })
			half := b.half()
			half.Immunity = 2 * time.Second
			h := b.store(half)

			trouble := c.lose(&l)
			trouble.Store(true)
			answers := make(chan relay.Answer, 1)
			b.Commit(b.address, []relay.StoredHalf{h}, 500*time.Millisecond, func(_ int, a relay.Answer) { answers <- a })
			a := <-answers
			require.ErrorIs(t, a.Err, remoting.ErrTimeout)
			require.True(t, a.Sent, "in doubt")
			trouble.Store(false)
			require.Eventually(t, func() bool { _, ok := b.Address(b.broker); return ok }, soon, time.Millisecond)

			b.fenced(h)
			b.caughtUp()
			proof, keys := b.read(0)
			require.True(t, proof.Complete, proof.Why)
			require.Equal(t, c.applied, slices.Contains(keys, h.UniqKey))
			require.LessOrEqual(t, len(keys), 1)
			if !c.applied {
				found, err := b.Lookup(t.Context(), b.address, b.topic, h.UniqKey)
				require.NoError(t, err)
				require.False(t, found)
			}
		})
	}
}

// Many commits whose answers are cut off at a random place: each is on the topic at most once, and those that were answered 0
// are there.
func TestCommitsOverALineThatBreaks(t *testing.T) {
	t.Parallel()
	stacktest.Needs(t, stack.Fence)
	b := newBench(t, 1, func(o *Options) { o.Connections = 2 })
	const n = 200
	halves := make([]relay.Half, n)
	for i := range halves {
		halves[i] = b.half()
		halves[i].Immunity = 2 * time.Second
	}
	stored := b.storeAll(halves)
	var mu sync.Mutex
	confirmed, doubtful := map[string]bool{}, map[string]bool{}
	var all sync.WaitGroup
	for at, part := range slices.Collect(slices.Chunk(stored, 20)) {
		// A client of its own for each part, closed while the answers come in.
		c := newClient(t, Options{NameServers: b.servers.NameServer(), Group: b.group, Logger: discard()})
		all.Add(len(part))
		c.Commit(b.address, part, 5*time.Second, func(i int, a relay.Answer) {
			defer all.Done()
			mu.Lock()
			defer mu.Unlock()
			switch {
			case a.Err == nil && a.Code == codeSuccess:
				confirmed[part[i].UniqKey] = true
			case a.Err != nil && a.Sent:
				doubtful[part[i].UniqKey] = true
			}
		})
		all.Go(func() {
			time.Sleep(time.Duration(at) * time.Millisecond) // where it is cut
			c.brokers.Close()
		})
	}
	all.Wait()
	b.fenced(stored[n-1])
	b.caughtUp()
	keys := b.keys(0)
	t.Logf("%d confirmed, %d in doubt, %d on the topic", len(confirmed), len(doubtful), len(keys))
	seen := map[string]int{}
	for _, k := range keys {
		seen[k]++
		require.True(t, confirmed[k] || doubtful[k], "what was certainly not sent is not there")
		require.Equal(t, 1, seen[k])
	}
	for k := range confirmed {
		require.Equal(t, 1, seen[k], "what was confirmed is there")
	}
}
