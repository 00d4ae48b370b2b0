package remoting

import (
	"context"
	"errors"
	"net"
	"time"
)

// A Dialer makes a connection to host:port. It is where TLS goes in.
type Dialer func(ctx context.Context, address string) (net.Conn, error)

// Options are the settings of a [Pool]. Zero values mean the default.
type Options struct {
	// Connections per address, 1 to 16. Default 1.
	Connections int
	// JSON writes the headers of requests as JSON, for peers that want it. Default: the binary serialization.
	JSON bool
	// Keys sign every request. Default: requests are not signed.
	Keys *Keys
	// Dial makes connections. Default: DialTCP.
	Dial Dialer
	// DialTimeout bounds Dial. Default 1 s.
	DialTimeout time.Duration
	// WriteTimeout is how long a peer may leave a write blocked before the connection is given up. Default 5 s.
	WriteTimeout time.Duration
	// IdleTimeout is how long a connection may be silent and still be used. Default 60 s: half of what RocketMQ allows
	// (NettyServerConfig.serverChannelMaxIdleTimeSeconds, 120 s).
	IdleTimeout time.Duration
	// Probe appends a cheap request that shows whether a peer answers again after its circuit has opened. Required.
	Probe func(b *Batch)
	// ProbeTimeout bounds a probe, in addition to the dial. Default 1 s.
	ProbeTimeout time.Duration
	// BackoffMin and BackoffMax bound the pause between probes; it doubles. Defaults 200 ms and 5 s.
	BackoffMin, BackoffMax time.Duration
	// OnCircuit, if set, is told of every circuit that opens, with the reason, or closes, with nil. It must not block.
	OnCircuit func(address string, err error)
	// OnRequest, if set, is given the requests of peers, valid during the call only. It must not block. Default: they are
	// ignored.
	OnRequest func(address string, request *Command)
	// OnLost, if set, is told of every connection that was up and ended. It must not block.
	OnLost func(address string)
}

func (o *Options) setDefaults() error {
	if o.Probe == nil {
		return errors.New("remoting: Options.Probe is required")
	}
	if o.Connections == 0 {
		o.Connections = 1
	}
	if o.Connections < 1 || o.Connections > 16 {
		return errors.New("remoting: Options.Connections must be between 1 and 16")
	}
	if o.Dial == nil {
		o.Dial = DialTCP
	}
	if o.OnLost == nil {
		o.OnLost = func(string) {}
	}
	if o.OnCircuit == nil {
		o.OnCircuit = func(string, error) {}
	}
	for _, d := range []struct {
		value *time.Duration
		unset time.Duration
	}{
		{&o.DialTimeout, time.Second},
		{&o.WriteTimeout, 5 * time.Second},
		{&o.IdleTimeout, time.Minute},
		{&o.ProbeTimeout, time.Second},
		{&o.BackoffMin, 200 * time.Millisecond},
		{&o.BackoffMax, 5 * time.Second},
	} {
		if *d.value < 0 {
			return errors.New("remoting: a timeout is negative")
		}
		if *d.value == 0 {
			*d.value = d.unset
		}
	}
	return nil
}
