package remoting

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

var errRefused = errors.New("refused")

// end is one side of a connection that knows where it goes.
type end struct {
	net.Conn
	to     string
	closed *int
}

func (e end) Close() error { *e.closed++; return nil }

// names dials what it is told of each address: after how long what happens.
func names(t *testing.T, addresses map[string]time.Duration, refused map[string]bool, closed *int) *addressDialer {
	t.Helper()
	return &addressDialer{
		lookup: func(_ context.Context, host string) ([]net.IPAddr, error) {
			if host != "ns" {
				return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
			}
			return []net.IPAddr{{IP: net.IPv4(10, 0, 0, 1)}, {IP: net.IPv4(10, 0, 0, 2)}, {IP: net.ParseIP("fd00::3")}}, nil
		},
		dial: func(ctx context.Context, address string) (net.Conn, error) {
			select {
			case <-time.After(addresses[address]):
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
			if refused[address] {
				return nil, errRefused
			}
			return end{to: address, closed: closed}, nil
		},
	}
}

// An address that is a black hole costs a stagger, not the whole time; one that refuses costs nothing.
func TestEveryAddressOfANameIsTried(t *testing.T) {
	t.Parallel()
	const never = time.Hour
	for name, test := range map[string]struct {
		after   map[string]time.Duration
		refused map[string]bool
		to      string
		took    time.Duration
	}{
		"the first answers":     {map[string]time.Duration{"10.0.0.1:1": 0}, nil, "10.0.0.1:1", 0},
		"the first is a hole":   {map[string]time.Duration{"10.0.0.1:1": never}, nil, "10.0.0.2:1", stagger},
		"two are holes":         {map[string]time.Duration{"10.0.0.1:1": never, "10.0.0.2:1": never}, nil, "[fd00::3]:1", 2 * stagger},
		"the first refuses":     {nil, map[string]bool{"10.0.0.1:1": true}, "10.0.0.2:1", 0},
		"slow, but still first": {map[string]time.Duration{"10.0.0.1:1": 200 * time.Millisecond, "10.0.0.2:1": never}, nil, "10.0.0.1:1", 200 * time.Millisecond},
		"hole, then refusal":    {map[string]time.Duration{"10.0.0.1:1": never}, map[string]bool{"10.0.0.2:1": true}, "[fd00::3]:1", 2 * stagger},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			began, closed := time.Now(), 0
			nc, err := names(t, test.after, test.refused, &closed).dialAny(ctx, "ns:1")
			require.NoError(t, err, name)
			require.Equal(t, test.to, nc.(end).to, name)
			require.Equal(t, test.took, time.Since(began), name)
			require.Zero(t, closed, name)
		})
	}
}

func TestDialTellsWhatEveryAddressSaid(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		closed := 0
		d := names(t, map[string]time.Duration{"10.0.0.1:1": time.Hour, "[fd00::3]:1": time.Hour}, map[string]bool{"10.0.0.2:1": true}, &closed)
		_, err := d.dialAny(ctx, "ns:1")
		require.ErrorIs(t, err, errRefused)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		_, err = d.dialAny(ctx, "nosuch:1")
		var dns *net.DNSError
		require.ErrorAs(t, err, &dns)
		_, err = d.dialAny(ctx, "noport")
		require.Error(t, err)
	})
}

// Two that answer at once: one is kept, the other is closed.
func TestDialClosesWhatCameTooLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		closed := 0
		d := names(t, map[string]time.Duration{"10.0.0.1:1": 2 * stagger, "10.0.0.2:1": stagger}, nil, &closed)
		d.dial = func(ctx context.Context, address string) (net.Conn, error) { // heeds no context
			time.Sleep(map[string]time.Duration{"10.0.0.1:1": 2 * stagger, "10.0.0.2:1": stagger}[address])
			return end{to: address, closed: &closed}, nil
		}
		nc, err := d.dialAny(t.Context(), "ns:1")
		require.NoError(t, err)
		require.NotNil(t, nc)
		require.LessOrEqual(t, 1, closed)
	})
}

func TestDialGoesToAnAddressWithoutAskingForNames(t *testing.T) {
	t.Parallel()
	var listen net.ListenConfig
	l, err := listen.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close() //nolint:errcheck // It ends with the test.
	for _, host := range []string{"127.0.0.1", "localhost"} {
		_, port, err := net.SplitHostPort(l.Addr().String())
		require.NoError(t, err)
		nc, err := DialTCP(t.Context(), net.JoinHostPort(host, port))
		require.NoError(t, err, host)
		require.NoError(t, nc.Close())
	}
}

// A name that moves is followed at the next connection: nothing keeps what it stood for.
func TestNameIsResolvedAnewForEachConnection(t *testing.T) {
	t.Parallel()
	asked := 0
	d := addressDialer{
		lookup: func(context.Context, string) ([]net.IPAddr, error) {
			asked++
			return []net.IPAddr{{IP: net.IPv4(10, 0, 0, byte(asked))}}, nil
		},
		dial: func(_ context.Context, address string) (net.Conn, error) {
			return end{to: address, closed: new(int)}, nil
		},
	}
	for _, want := range []string{"10.0.0.1:9876", "10.0.0.2:9876"} {
		nc, err := d.dialAny(t.Context(), "ns:9876")
		require.NoError(t, err)
		require.Equal(t, want, nc.(end).to)
	}
}
