package remoting

import (
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestBackoffDoublesUpToItsLimit(t *testing.T) {
	t.Parallel()
	const least, most = 200 * time.Millisecond, 5 * time.Second
	for failures, want := range map[int]time.Duration{0: least, 1: 2 * least, 4: 16 * least, 5: most, 1000: most} {
		for range 100 {
			d := backoff(least, most, failures)
			require.LessOrEqual(t, d, want)
			require.GreaterOrEqual(t, d, want*4/5-1)
		}
	}
}

// answerEverything answers each request with success.
func answerEverything(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		frames := NewFrameReader(c)
		for {
			frame, err := frames.Next()
			if err != nil {
				_ = c.Close()
				break
			}
			var cmd Command
			var e Encoder
			if cmd.Decode(frame) == nil {
				e.Begin(0, FlagResponse, cmd.Opaque, "")
				_ = e.End(nil)
				_, _ = c.Write(e.Bytes())
			}
		}
	}
}

// A broker that has left the cluster is not probed for ever; one that somebody asks for again is.
func TestPeerThatNobodyUsesIsNotProbed(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // A test.
	require.NoError(t, err)
	address := l.Addr().String()
	require.NoError(t, l.Close())
	p, err := NewPool(Options{
		Probe:      func(b *Batch) { b.Begin(1); _ = b.End(nil) },
		BackoffMin: time.Millisecond, BackoffMax: time.Millisecond,
	})
	require.NoError(t, err)
	defer p.Close()
	_, err = p.Call(t.Context(), address, time.Second, func(b *Batch) error { b.Begin(1); return b.End(nil) })
	require.ErrorIs(t, err, ErrUnreachable)

	at := p.peer(address)
	resting := func() bool {
		at.mu.Lock()
		defer at.mu.Unlock()
		at.used = time.Now().Add(-unusedAfter)
		return at.timer == nil && !at.probing
	}
	require.Eventually(t, resting, 10*time.Second, time.Millisecond)

	l, err = net.Listen("tcp", address) //nolint:noctx // A test.
	require.NoError(t, err)
	served := make(chan struct{})
	go func() { defer close(served); answerEverything(l) }()
	require.False(t, p.Available(address), "asking resumes the probes")
	require.Eventually(t, func() bool { return p.Available(address) }, 10*time.Second, time.Millisecond)
	p.Close()
	require.NoError(t, l.Close())
	<-served
}
