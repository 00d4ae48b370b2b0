package rocketmq

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/outbox-relay/outbox-relay/internal/endpoint"
	"github.com/outbox-relay/outbox-relay/internal/rocketmq/remoting"
	"github.com/outbox-relay/outbox-relay/txcheck"
)

// Options are the settings of a [Client]. Zero values mean the default where one is given.
type Options struct {
	// NameServers: host:port, several separated by ; or , and each with or without http:// before it. Required.
	NameServers string
	// Group is the producer group; every relay of one outbox shares it. Required.
	Group string
	// Namespace that topics and the group belong to; "" for none. Everything outside this package knows names without it.
	Namespace string
	// Producers of the group that this client registers, 1 to 5, each under an instance name of its own. Default 1.
	Producers int
	// Instance names this process among the producers of the group; made unique by the client. Default "relay".
	Instance string
	// Connections to each broker, 1 to 5. Default 1, which is enough for more than 10,000 halves and commits a second.
	Connections int
	// SendTimeout is how long a half may be unanswered. Default 6 s: longer than the broker's own waits for disk and slave
	// (MessageStoreConfig.syncFlushTimeout 5 s, slaveTimeout 3 s), so that it is the broker that says what went wrong.
	SendTimeout time.Duration
	// RequestTimeout bounds every other request: routes, offsets, rollbacks, each step of a reading. Default 3 s.
	RequestTimeout time.Duration
	// DialTimeout bounds making a connection. Default 1 s.
	DialTimeout time.Duration
	// RouteInterval is how often routes are refreshed when nothing goes wrong. Default 30 s, as in RocketMQ's own clients.
	RouteInterval time.Duration
	// JSON writes request headers as JSON instead of the binary serialization.
	JSON bool
	// Dial makes connections to name servers and brokers. Default: plain TCP.
	Dial remoting.Dialer
	// Trace is RocketMQ's message trace. Default: none.
	Trace TraceOptions
	// Credentials sign every request, to name servers too. Default: requests are not signed.
	Credentials Credentials
	// TLS encrypts the connections. Default: plain TCP.
	TLS *TLS
	// Check answers check-backs. It must be quick and must not block. Default: always txcheck.Unknown.
	Check func(txcheck.Half) txcheck.Answer
	// OnCheck, if set, is told of every check-back and its answer, to be counted.
	OnCheck func(txcheck.Half, txcheck.Answer)
	// OnProducer, if set, is told of every producer that is made, to be counted.
	OnProducer func()
	// Logger. Required.
	Logger *slog.Logger
}

func (o *Options) setDefaults() error {
	switch {
	case o.Group == "":
		return errors.New("rocketmq: Options.Group is required")
	case len(o.Group) > 255:
		return errors.New("rocketmq: Options.Group is longer than 255 bytes")
	case o.Logger == nil:
		return errors.New("rocketmq: Options.Logger is required")
	case o.Producers < 0 || o.Producers > 5:
		return fmt.Errorf("rocketmq: Options.Producers is %d, must be 1 to 5", o.Producers)
	case o.Connections < 0 || o.Connections > 5:
		return fmt.Errorf("rocketmq: Options.Connections is %d, must be 1 to 5", o.Connections)
	}
	if _, err := endpoint.NewNames(o.Namespace); err != nil {
		return fmt.Errorf("rocketmq: Options.Namespace %q %w", o.Namespace, err)
	}
	if o.Check == nil {
		o.Check = func(txcheck.Half) txcheck.Answer { return txcheck.Unknown }
	}
	if o.OnCheck == nil {
		o.OnCheck = func(txcheck.Half, txcheck.Answer) {}
	}
	if o.OnProducer == nil {
		o.OnProducer = func() {}
	}
	o.Producers = max(o.Producers, 1)
	if o.Instance == "" {
		o.Instance = "relay"
	}
	for _, d := range []struct {
		name  string
		value *time.Duration
		unset time.Duration
	}{
		{"SendTimeout", &o.SendTimeout, 6 * time.Second},
		{"RequestTimeout", &o.RequestTimeout, 3 * time.Second},
		{"DialTimeout", &o.DialTimeout, time.Second},
		{"RouteInterval", &o.RouteInterval, 30 * time.Second},
	} {
		if *d.value < 0 {
			return fmt.Errorf("rocketmq: Options.%s is negative", d.name)
		}
		if *d.value == 0 {
			*d.value = d.unset
		}
	}
	return nil
}

// names are those of the namespace, which setDefaults has checked.
func (o *Options) names() endpoint.Names {
	names, _ := endpoint.NewNames(o.Namespace)
	return names
}

// Remoting are the options of connections of the caller's own, to brokers or to name servers. They have no probe yet.
func (o Options) Remoting(brokers bool) remoting.Options {
	return o.remoting(remoting.NewKeys(o.Credentials), brokers)
}

// remoting are the options of connections to name servers or, if brokers is set, to brokers.
func (o *Options) remoting(keys *remoting.Keys, brokers bool) remoting.Options {
	r := remoting.Options{Connections: o.Connections, JSON: o.JSON, Keys: keys, Dial: o.Dial, DialTimeout: o.DialTimeout}
	if o.TLS != nil && (brokers || o.TLS.NameServers) {
		if r.Dial == nil {
			r.Dial = remoting.DialTCP
		}
		r.Dial = o.TLS.over(r.Dial)
		r.DialTimeout = max(r.DialTimeout, tlsDialTimeout)
	}
	return r
}
