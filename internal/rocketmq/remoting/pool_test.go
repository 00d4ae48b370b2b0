package remoting_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/rocketmq/fakemq"
	"github.com/outbox-relay/outbox-relay/internal/rocketmq/remoting"
)

const (
	echo  = 100 // answered with its own field n
	probe = 101
	soon  = 10 * time.Second // a deadline for what takes milliseconds
)

func newPool(t *testing.T, change ...func(*remoting.Options)) *remoting.Pool {
	t.Helper()
	o := remoting.Options{
		Probe: func(b *remoting.Batch) {
			b.Begin(probe)
			_ = b.End(nil)
		},
		BackoffMin: 5 * time.Millisecond, BackoffMax: 20 * time.Millisecond,
	}
	for _, f := range change {
		f(&o)
	}
	p, err := remoting.NewPool(o)
	require.NoError(t, err)
	t.Cleanup(p.Close)
	return p
}

func echoServer(t *testing.T) *fakemq.Server {
	t.Helper()
	s := fakemq.Listen(t)
	serveEcho(s)
	return s
}

func serveEcho(s *fakemq.Server) {
	s.Answer(probe, fakemq.Reply{})
	s.Handle(echo, func(r fakemq.Request) fakemq.Reply {
		return fakemq.Reply{Fields: map[string]string{"n": r.Field("n")}, Body: r.Body}
	})
}

// outcome is a reply that outlives its callback.
type outcome struct {
	n    string
	body int
	err  error
	sent bool
	took time.Duration
}

// batch makes n echo requests; their outcomes are complete when the batch is finished.
func batch(t *testing.T, p *remoting.Pool, n int, timeout time.Duration, body []byte) (*remoting.Batch, []outcome) {
	t.Helper()
	outcomes := make([]outcome, n)
	b := p.Batch(n, timeout, func(i int, r remoting.Reply) {
		o := outcome{err: r.Err, sent: r.Sent, took: r.Took}
		if r.Err == nil {
			v, _ := r.Response.Ext("n")
			o.n, o.body = string(v), len(r.Response.Body)
		}
		outcomes[i] = o
	})
	for i := range n {
		b.Begin(echo)
		b.Int("n", int64(i))
		require.NoError(t, b.End(body))
	}
	return b, outcomes
}

func run(t *testing.T, p *remoting.Pool, address string, n int, timeout time.Duration, body []byte) []outcome {
	t.Helper()
	b, outcomes := batch(t, p, n, timeout, body)
	p.Submit(address, b)
	<-b.Finished()
	return outcomes
}

func TestEveryRequestGetsItsOwnAnswer(t *testing.T) {
	t.Parallel()
	for name, asJSON := range map[string]bool{"binary": false, "JSON": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := echoServer(t)
			p := newPool(t, func(o *remoting.Options) { o.JSON = asJSON; o.Connections = 3 })
			var all sync.WaitGroup
			for range 20 {
				all.Go(func() {
					for i, o := range run(t, p, s.Address(), 50, soon, []byte("body")) {
						if o.err != nil || o.n != strconv.Itoa(i) || o.body != 4 {
							t.Errorf("request %d: %+v", i, o)
						}
					}
				})
			}
			all.Wait()
			require.Equal(t, 3, s.Connections())
			require.Zero(t, p.Stats().Late)
		})
	}
}

func TestAnswersMayComeInAnyOrder(t *testing.T) {
	t.Parallel()
	s := fakemq.Listen(t)
	s.Handle(echo, func(r fakemq.Request) fakemq.Reply {
		n, _ := strconv.Atoi(r.Field("n"))
		return fakemq.Reply{Fields: map[string]string{"n": r.Field("n")}, After: time.Duration(20-n) * time.Millisecond, JSON: n%2 == 0}
	})
	for i, o := range run(t, newPool(t), s.Address(), 20, soon, nil) {
		require.NoError(t, o.err)
		require.Equal(t, strconv.Itoa(i), o.n)
	}
}

// countingConn counts writes.
type countingConn struct {
	net.Conn
	writes *atomic.Int64
}

func (c countingConn) Write(b []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(b)
}

func TestABatchIsOneWrite(t *testing.T) {
	t.Parallel()
	s := echoServer(t)
	var writes atomic.Int64
	p := newPool(t, func(o *remoting.Options) {
		o.Dial = func(ctx context.Context, address string) (net.Conn, error) {
			var d net.Dialer
			c, err := d.DialContext(ctx, "tcp", address)
			return countingConn{c, &writes}, err
		}
	})
	for _, o := range run(t, p, s.Address(), 500, soon, make([]byte, 300)) {
		require.NoError(t, o.err)
		require.Positive(t, o.took)
	}
	require.Equal(t, int64(1), writes.Load())
}

func TestUnansweredRequestsTimeOutAsSent(t *testing.T) {
	t.Parallel()
	s := echoServer(t)
	s.Handle(echo, func(r fakemq.Request) fakemq.Reply {
		return fakemq.Reply{Fields: map[string]string{"n": r.Field("n")}, Drop: r.Field("n") == "1"}
	})
	o := run(t, newPool(t), s.Address(), 3, 100*time.Millisecond, nil)
	require.NoError(t, o[0].err)
	require.NoError(t, o[2].err)
	require.ErrorIs(t, o[1].err, remoting.ErrTimeout)
	require.ErrorIs(t, o[1].err, context.DeadlineExceeded)
	require.True(t, o[1].sent)
	require.GreaterOrEqual(t, o[1].took, 90*time.Millisecond)
}

func TestLateAnswersAreDroppedAndCounted(t *testing.T) {
	t.Parallel()
	s := echoServer(t)
	s.Handle(echo, func(r fakemq.Request) fakemq.Reply {
		if r.Field("n") == "0" {
			return fakemq.Reply{}
		}
		return fakemq.Reply{After: 200 * time.Millisecond}
	})
	p := newPool(t)
	require.ErrorIs(t, run(t, p, s.Address(), 2, 100*time.Millisecond, nil)[1].err, remoting.ErrTimeout)
	require.Eventually(t, func() bool { return p.Stats().Late == 1 }, soon, time.Millisecond)
}

func TestLostConnectionFailsWhatIsInFlightAsSent(t *testing.T) {
	t.Parallel()
	s := echoServer(t)
	s.Handle(echo, func(r fakemq.Request) fakemq.Reply { return fakemq.Reply{Hangup: r.Field("n") == "9", Drop: true} })
	p := newPool(t)
	start := time.Now()
	for _, o := range run(t, p, s.Address(), 10, soon, nil) {
		require.ErrorIs(t, o.err, remoting.ErrLost)
		require.True(t, o.sent)
	}
	require.Less(t, time.Since(start), soon/2, "not after the timeout")

	serveEcho(s)
	require.NoError(t, run(t, p, s.Address(), 1, soon, nil)[0].err, "reconnects on the next use")
	require.Equal(t, 2, s.Connections())
}

func TestNothingIsSentWhereNobodyListens(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // A test.
	require.NoError(t, err)
	address := l.Addr().String()
	require.NoError(t, l.Close())
	circuit := make(chan error, 10)
	p := newPool(t, func(o *remoting.Options) { o.OnCircuit = func(_ string, err error) { circuit <- err } })
	require.True(t, p.Available(address))
	for range 2 { // the dial fails, then the circuit is open
		o := run(t, p, address, 2, soon, nil)
		require.ErrorIs(t, o[0].err, remoting.ErrUnreachable)
		require.False(t, o[0].sent)
		require.Zero(t, o[0].took)
		require.False(t, p.Available(address))
	}
	require.ErrorIs(t, <-circuit, remoting.ErrUnreachable)

	serveEcho(fakemq.ListenOn(t, address))
	require.NoError(t, <-circuit, "a probe closes it")
	require.True(t, p.Available(address))
	require.NoError(t, run(t, p, address, 1, soon, nil)[0].err)
}

// A stopped process accepts connections and says nothing. It must not cost every batch a timeout, nor anybody else anything.
func TestSilentPeerOpensItsCircuitOnly(t *testing.T) {
	t.Parallel()
	frozen, healthy := echoServer(t), echoServer(t)
	p := newPool(t, func(o *remoting.Options) {
		o.ProbeTimeout = 50 * time.Millisecond
		o.DialTimeout = 50 * time.Millisecond
	})
	require.NoError(t, run(t, p, frozen.Address(), 1, soon, nil)[0].err)
	frozen.Freeze()
	b, outcomes := batch(t, p, 10, 200*time.Millisecond, nil)
	p.Submit(frozen.Address(), b)
	for range 20 {
		for _, o := range run(t, p, healthy.Address(), 10, soon, nil) {
			require.NoError(t, o.err)
			require.Less(t, o.took, 150*time.Millisecond)
		}
	}
	<-b.Finished()
	for _, o := range outcomes {
		require.ErrorIs(t, o.err, remoting.ErrTimeout)
		require.True(t, o.sent)
	}
	require.False(t, p.Available(frozen.Address()))
	start := time.Now()
	o := run(t, p, frozen.Address(), 1, soon, nil)[0]
	require.ErrorIs(t, o.err, remoting.ErrUnreachable)
	require.False(t, o.sent)
	require.Less(t, time.Since(start), time.Second, "fails at once")

	frozen.Thaw()
	require.Eventually(t, func() bool { return p.Available(frozen.Address()) }, soon, time.Millisecond)
	require.NoError(t, run(t, p, frozen.Address(), 1, soon, nil)[0].err)
}

// One slow request is no reason to give the peer up: something else was received meanwhile.
func TestOneTimeoutAmongAnswersKeepsTheCircuitClosed(t *testing.T) {
	t.Parallel()
	s := echoServer(t)
	s.Handle(echo, func(r fakemq.Request) fakemq.Reply { return fakemq.Reply{Drop: r.Field("n") == "0"} })
	p := newPool(t, func(o *remoting.Options) {
		o.OnCircuit = func(_ string, err error) { t.Errorf("circuit: %v", err) }
	})
	o := run(t, p, s.Address(), 2, 100*time.Millisecond, nil)
	require.ErrorIs(t, o[0].err, remoting.ErrTimeout)
	require.NoError(t, o[1].err)
	require.True(t, p.Available(s.Address()))
}

// Only frames that the kernel took completely can have reached the peer.
func TestHalfWrittenBatch(t *testing.T) {
	t.Parallel()
	s := echoServer(t)
	s.Freeze()
	p := newPool(t, func(o *remoting.Options) { o.WriteTimeout = 200 * time.Millisecond })
	outcomes := run(t, p, s.Address(), 60, soon, make([]byte, 1<<20))
	sent := 0
	for i, o := range outcomes {
		require.ErrorIs(t, o.err, remoting.ErrLost)
		if o.sent {
			sent++
			require.Equal(t, i+1, sent, "what was sent is a prefix")
		}
	}
	require.Positive(t, sent)
	require.Less(t, sent, 60)
	s.Thaw()
	require.Eventually(t, func() bool { return len(s.Requests(echo)) >= min(sent, 1) }, soon, time.Millisecond)
	require.LessOrEqual(t, len(s.Requests(echo)), sent, "the peer got nothing that was reported unsent")
}

// dialGate lets connections through when it is opened.
func dialGate() (gate chan struct{}, dial remoting.Dialer) {
	gate = make(chan struct{})
	return gate, func(ctx context.Context, address string) (net.Conn, error) {
		select {
		case <-gate:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		var d net.Dialer
		return d.DialContext(ctx, "tcp", address)
	}
}

func TestWhatTimesOutBeforeItIsWrittenIsNeverSent(t *testing.T) {
	t.Parallel()
	s := echoServer(t)
	gate, dial := dialGate()
	p := newPool(t, func(o *remoting.Options) { o.Dial = dial; o.DialTimeout = soon })
	o := run(t, p, s.Address(), 1, 20*time.Millisecond, nil)[0]
	require.ErrorIs(t, o.err, remoting.ErrTimeout)
	require.False(t, o.sent)
	require.Zero(t, o.took)
	close(gate)
	require.NoError(t, run(t, p, s.Address(), 2, soon, nil)[1].err)
	require.Len(t, s.Requests(echo), 2)
}

func TestCancelledBatch(t *testing.T) {
	t.Parallel()
	cause := errors.New("shutting down")
	s := echoServer(t)
	gate, dial := dialGate()
	p := newPool(t, func(o *remoting.Options) { o.Dial = dial; o.DialTimeout = soon })
	b, outcomes := batch(t, p, 3, soon, nil)
	p.Submit(s.Address(), b)
	b.Cancel(cause)
	<-b.Finished()
	require.ErrorIs(t, outcomes[2].err, cause)
	require.False(t, outcomes[2].sent)

	close(gate)
	s.Answer(echo, fakemq.Reply{Drop: true})
	b, outcomes = batch(t, p, 3, soon, nil)
	p.Submit(s.Address(), b)
	require.Eventually(t, func() bool { return len(s.Requests(echo)) == 3 }, soon, time.Millisecond)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	b.Wait(ctx)
	require.ErrorIs(t, outcomes[0].err, cause)
	require.True(t, outcomes[0].sent)
}

func TestGarbageEndsTheConnectionAndNothingElse(t *testing.T) {
	t.Parallel()
	for name, raw := range map[string][]byte{
		"length":        {0xff, 0xff, 0xff, 0xff},
		"huge":          {0x7f, 0, 0, 0, 1, 2, 3, 4},
		"header":        {0, 0, 0, 4, 1, 0xff, 0xff, 0xff},
		"serialization": {0, 0, 0, 4, 9, 0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := echoServer(t)
			p := newPool(t)
			s.Answer(echo, fakemq.Reply{Raw: raw})
			o := run(t, p, s.Address(), 2, soon, nil)[0]
			require.ErrorIs(t, o.err, remoting.ErrLost)
			require.ErrorIs(t, o.err, remoting.ErrMalformed)
			require.True(t, o.sent)
			serveEcho(s)
			require.NoError(t, run(t, p, s.Address(), 1, soon, nil)[0].err)
		})
	}
}

func TestRequestsOfThePeerAreIgnored(t *testing.T) {
	t.Parallel()
	s := echoServer(t)
	p := newPool(t)
	require.NoError(t, run(t, p, s.Address(), 1, soon, nil)[0].err)
	s.Push(39, nil)
	require.Eventually(t, func() bool { return p.Stats().Ignored == 1 }, soon, time.Millisecond)
	require.NoError(t, run(t, p, s.Address(), 1, soon, nil)[0].err)
	require.Equal(t, 1, s.Connections())
}

func TestRequestsOfThePeerAreHandedOver(t *testing.T) {
	t.Parallel()
	s := echoServer(t)
	got := make(chan int, 1)
	p := newPool(t, func(o *remoting.Options) {
		o.OnRequest = func(address string, r *remoting.Command) {
			if address == s.Address() {
				got <- r.Code
			}
		}
	})
	require.NoError(t, run(t, p, s.Address(), 1, soon, nil)[0].err)
	s.Push(39, nil)
	require.Equal(t, 39, <-got)
	require.Zero(t, p.Stats().Ignored)
}

func TestLostConnectionsAreTold(t *testing.T) {
	t.Parallel()
	s := echoServer(t)
	lost := make(chan string, 1)
	p := newPool(t, func(o *remoting.Options) { o.OnLost = func(address string) { lost <- address } })
	require.Error(t, run(t, p, "127.0.0.1:1", 1, soon, nil)[0].err, "one that was never up is not lost")
	require.NoError(t, run(t, p, s.Address(), 1, soon, nil)[0].err)
	s.Hangup()
	require.Equal(t, s.Address(), <-lost)
	require.NoError(t, run(t, p, s.Address(), 1, soon, nil)[0].err)
	p.Close()
	require.Empty(t, lost, "one that we closed is not lost")
}

// Every request of a pool with keys is signed, those that probe a circuit too.
func TestRequestsOfAPoolAreSigned(t *testing.T) {
	t.Parallel()
	s := echoServer(t)
	keys := remoting.NewKeys(remoting.Credentials{AccessKey: "a", SecretKey: "1"})
	p := newPool(t, func(o *remoting.Options) { o.Keys = keys })
	require.NoError(t, run(t, p, s.Address(), 3, soon, []byte("x"))[0].err)
	keys.Set(remoting.Credentials{AccessKey: "b", SecretKey: "2", SecurityToken: "t"})
	require.NoError(t, run(t, p, s.Address(), 3, soon, []byte("x"))[0].err)
	requests := s.Requests(echo)
	require.Len(t, requests, 6)
	for i, r := range requests {
		require.Len(t, r.Field("Signature"), 28)
		require.Equal(t, []string{"a", ""}, []string{requests[0].Field("AccessKey"), requests[0].Field("SecurityToken")})
		if i >= 3 {
			require.Equal(t, []string{"b", "t"}, []string{r.Field("AccessKey"), r.Field("SecurityToken")})
		}
	}
	require.NotEqual(t, requests[0].Field("Signature"), requests[1].Field("Signature"), "the fields differ")

	s.Freeze()
	require.Error(t, run(t, p, s.Address(), 1, 20*time.Millisecond, nil)[0].err)
	s.Thaw()
	require.Eventually(t, func() bool { return len(s.Requests(probe)) > 0 }, soon, time.Millisecond)
	require.Equal(t, "b", s.Requests(probe)[0].Field("AccessKey"))
}

func TestIdleConnectionIsReplacedBeforeUse(t *testing.T) {
	t.Parallel()
	s := echoServer(t)
	p := newPool(t, func(o *remoting.Options) { o.IdleTimeout = time.Nanosecond })
	for i := range 3 {
		require.NoError(t, run(t, p, s.Address(), 1, soon, nil)[0].err)
		require.Equal(t, i+1, s.Connections())
	}
}

func TestConnectionThatThePeerClosedIsReplaced(t *testing.T) {
	t.Parallel()
	s := echoServer(t)
	p := newPool(t)
	require.NoError(t, run(t, p, s.Address(), 1, soon, nil)[0].err)
	s.Hangup()
	require.Eventually(t, func() bool {
		return run(t, p, s.Address(), 1, soon, nil)[0].err == nil
	}, soon, time.Millisecond)
}

func TestOneway(t *testing.T) {
	t.Parallel()
	s := echoServer(t)
	p := newPool(t)
	b := p.Oneway(2)
	for range 2 {
		b.Begin(echo)
		require.NoError(t, b.End(nil))
	}
	p.Submit(s.Address(), b)
	<-b.Finished()
	require.Eventually(t, func() bool { return len(s.Requests(echo)) == 2 }, soon, time.Millisecond)
	require.True(t, s.Requests(echo)[0].Oneway())

	p.Close()
	b = p.Oneway(1)
	b.Begin(echo)
	require.NoError(t, b.End(nil))
	p.Submit(s.Address(), b)
	<-b.Finished()
}

func TestEmptyBatchIsFinished(t *testing.T) {
	t.Parallel()
	p := newPool(t)
	b := p.Batch(0, soon, nil)
	p.Submit("127.0.0.1:1", b)
	<-b.Finished()
}

func TestCloseFailsWhatIsInFlight(t *testing.T) {
	t.Parallel()
	s := echoServer(t)
	s.Answer(echo, fakemq.Reply{Drop: true})
	p := newPool(t)
	b, outcomes := batch(t, p, 2, soon, nil)
	p.Submit(s.Address(), b)
	require.Eventually(t, func() bool { return len(s.Requests(echo)) == 2 }, soon, time.Millisecond)
	p.Close()
	<-b.Finished()
	require.ErrorIs(t, outcomes[0].err, remoting.ErrClosed)
	require.True(t, outcomes[0].sent)
	o := run(t, p, s.Address(), 1, soon, nil)[0]
	require.ErrorIs(t, o.err, remoting.ErrClosed)
	require.False(t, o.sent)
	require.False(t, p.Available(s.Address()))
	p.Close()
}

func TestCallReturnsAnAnswerThatOutlivesItsFrame(t *testing.T) {
	t.Parallel()
	s := echoServer(t)
	p := newPool(t)
	cmd, err := p.Call(t.Context(), s.Address(), soon, func(b *remoting.Batch) error {
		b.Begin(echo)
		b.String("n", "first")
		return b.End([]byte("kept"))
	})
	require.NoError(t, err)
	require.NoError(t, run(t, p, s.Address(), 100, soon, []byte("other"))[99].err)
	v, _ := cmd.Ext("n")
	require.Equal(t, "first", string(v))
	require.Equal(t, "kept", string(cmd.Body))

	const refused = 92
	s.Answer(refused, fakemq.Reply{Code: 16, Remark: "check signature failed."})
	cmd, err = p.Call(t.Context(), s.Address(), soon, func(b *remoting.Batch) error {
		b.Begin(refused)
		return b.End(nil)
	})
	require.NoError(t, err)
	require.NoError(t, run(t, p, s.Address(), 100, soon, []byte("other"))[99].err)
	require.Equal(t, "check signature failed.", cmd.Remark())

	_, err = p.Call(t.Context(), s.Address(), soon, func(b *remoting.Batch) error {
		b.Begin(echo)
		return b.End(make([]byte, remoting.MaxFrame))
	})
	require.ErrorIs(t, err, remoting.ErrTooLarge)
}

// Everything at once, with the race detector on: each request is completed exactly once, whatever happens to it.
func TestEveryRequestIsCompletedOnce(t *testing.T) {
	t.Parallel()
	s := echoServer(t)
	p := newPool(t, func(o *remoting.Options) {
		o.Connections = 2
		o.DialTimeout = 50 * time.Millisecond
		o.ProbeTimeout = 50 * time.Millisecond
	})
	s.Handle(echo, func(r fakemq.Request) fakemq.Reply {
		n, _ := strconv.Atoi(r.Field("n"))
		return fakemq.Reply{Drop: n == 7, Hangup: n == 11 && r.Connection%2 == 0, After: time.Duration(n%3) * time.Millisecond}
	})
	var completed atomic.Int64
	var all sync.WaitGroup
	const rounds, senders, size = 15, 8, 20
	for range senders {
		all.Go(func() {
			for i := range rounds {
				b := p.Batch(size, 30*time.Millisecond, func(int, remoting.Reply) { completed.Add(1) })
				for n := range size {
					b.Begin(echo)
					b.Int("n", int64(n))
					if err := b.End(nil); err != nil {
						t.Error(err)
					}
				}
				p.Submit(s.Address(), b)
				if i%5 == 0 {
					b.Cancel(io.ErrClosedPipe)
				}
				<-b.Finished()
			}
		})
	}
	all.Go(func() {
		for range 5 {
			s.Hangup()
			s.Freeze()
			time.Sleep(10 * time.Millisecond) // an outage, not a synchronisation
			s.Thaw()
		}
	})
	all.Wait()
	require.Equal(t, int64(rounds*senders*size), completed.Load())
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]remoting.Options{
		"Probe":       {},
		"Connections": {Probe: func(*remoting.Batch) {}, Connections: 17},
		"timeout":     {Probe: func(*remoting.Batch) {}, DialTimeout: -1},
	} {
		_, err := remoting.NewPool(o)
		require.ErrorContains(t, err, name)
	}
}

func ExamplePool_Call() {
	p, err := remoting.NewPool(remoting.Options{Probe: func(*remoting.Batch) {}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()
	_, err = p.Call(context.Background(), "127.0.0.1:1", time.Second, func(b *remoting.Batch) error {
		b.Begin(30)
		b.String("topic", "orders")
		b.Int("queueId", 0)
		return b.End(nil)
	})
	fmt.Println(errors.Is(err, remoting.ErrUnreachable))
	// Output: true
}
