package remoting

import (
	"context"
	"errors"
	"net"
	"time"
)

// stagger is how much later than the one before the next address of a name is tried.
const stagger = 150 * time.Millisecond

// An addressDialer makes TCP connections. It resolves a name anew each time, and tries all of its addresses. net.Dialer tries
// them too, but one after the other, and gives the first one all of a time as short as ours: an address that is gone without
// a word, such as a pod's on a host that died, would hide the others.
type addressDialer struct {
	lookup func(ctx context.Context, host string) ([]net.IPAddr, error)
	dial   func(ctx context.Context, address string) (net.Conn, error)
}

// DialTCP is the default [Dialer]: plain TCP with keepalive.
func DialTCP(ctx context.Context, address string) (net.Conn, error) {
	tcp := net.Dialer{KeepAlive: 15 * time.Second}
	d := addressDialer{
		lookup: net.DefaultResolver.LookupIPAddr,
		dial: func(ctx context.Context, address string) (net.Conn, error) {
			return tcp.DialContext(ctx, "tcp", address)
		},
	}
	return d.dialAny(ctx, address)
}

// dialed is what came of one address.
type dialed struct {
	nc  net.Conn
	err error
}

// dialAny returns the first connection that comes about.
func (d *addressDialer) dialAny(ctx context.Context, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if net.ParseIP(host) != nil {
		return d.dial(ctx, address)
	}
	addresses, err := d.lookup(ctx, host)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	results := make(chan dialed, len(addresses))
	trying := 0
	defer func() {
		cancel() // does not touch a connection that is made
		for ; trying > 0; trying-- {
			if r := <-results; r.err == nil {
				_ = r.nc.Close()
			}
		}
	}()
	var errs []error
	for next := 0; next < len(addresses) || trying > 0; {
		var more <-chan time.Time
		if next < len(addresses) {
			more = time.After(stagger)
			if trying == 0 {
				more = closedTimer()
			}
		}
		select {
		case <-more:
			to := net.JoinHostPort(addresses[next].String(), port)
			go func() {
				nc, err := d.dial(ctx, to)
				results <- dialed{nc, err}
			}()
			next, trying = next+1, trying+1
		case r := <-results:
			trying--
			if r.err == nil {
				return r.nc, nil
			}
			errs = append(errs, r.err)
		}
	}
	return nil, errors.Join(errs...)
}

// closedTimer is a timer that has fired.
func closedTimer() <-chan time.Time {
	c := make(chan time.Time)
	close(c)
	return c
}
