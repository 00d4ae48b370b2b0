package rocketmq

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/outbox-relay/outbox-relay/internal/endpoint"
	"github.com/outbox-relay/outbox-relay/internal/rocketmq/remoting"
)

// ParseNameServers splits a list of name servers, as package endpoint reads each, separated by ; or , or blanks. Host names
// are resolved each time a connection is made.
func ParseNameServers(list string) ([]string, error) {
	var addresses []string
	for _, s := range endpoint.Split(list) {
		address, err := endpoint.Parse(s)
		if err != nil {
			return nil, fmt.Errorf("name server %q %w", s, err)
		}
		addresses = append(addresses, address)
	}
	if len(addresses) == 0 {
		return nil, errors.New("no name server given, want host:port;host:port")
	}
	return addresses, nil
}

// nameServers asks name servers, one after the other until one answers. They hold the same data, each for itself.
type nameServers struct {
	addresses []string
	pool      *remoting.Pool
	timeout   time.Duration
	names     endpoint.Names
	diagnoses *diagnoses
	last      atomic.Int64 // the one that answered last
	explain   func(ctx context.Context, address string, err error) error
}

func newNameServers(addresses []string, names endpoint.Names, o remoting.Options, timeout time.Duration) (*nameServers, error) {
	o.Connections = 1
	o.Probe = func(b *remoting.Batch) { _ = routeRequest(b, "TBW102") }
	pool, err := remoting.NewPool(o)
	if err != nil {
		return nil, fmt.Errorf("connections to name servers: %w", err)
	}
	n := &nameServers{addresses: addresses, names: names, pool: pool, timeout: timeout}
	n.diagnoses = newDiagnoses(n)
	return n, nil
}

func routeRequest(b *remoting.Batch, topic string) error {
	b.Begin(reqRoute)
	b.String("topic", topic)
	b.Bool("acceptStandardJsonOnly", true)
	return b.End(nil)
}

// route asks for the topic's route. ErrTopicMissing if a name server answered and none knows the topic, ErrUnreachable if none
// answered.
func (n *nameServers) route(ctx context.Context, name string) (*topicRoute, error) {
	missing, topic := false, n.names.Wire(name)
	body, err := n.ask(ctx, func(b *remoting.Batch) error { return routeRequest(b, topic) }, func(err *CodeError) {
		missing = missing || err.Code == codeTopicNotExist
	})
	switch {
	case err == nil:
		return parseRoute(body)
	case missing && topic != name:
		return nil, fmt.Errorf("%w: RocketMQ would know it as %s, with its namespace", ErrTopicMissing, topic)
	case missing:
		return nil, ErrTopicMissing
	default:
		return nil, temporary(err)
	}
}

// masters returns the masters that are registered, by broker name.
func (n *nameServers) masters(ctx context.Context) (map[string]string, error) {
	body, err := n.ask(ctx, func(b *remoting.Batch) error {
		b.Begin(reqClusterInfo)
		return b.End(nil)
	}, func(*CodeError) {})
	if err != nil {
		return nil, temporary(err)
	}
	return parseClusterInfo(body)
}

// temporary marks an error as such, unless there is no name server at all.
func temporary(err error) error {
	if errors.Is(err, ErrNotNameServer) {
		return err
	}
	return unreachable(err)
}

// ask sends a request to one name server after the other until one answers with success, the one that did so last first. The
// error is ErrNotNameServer only if that is true of all.
func (n *nameServers) ask(ctx context.Context, fill func(*remoting.Batch) error, refused func(*CodeError)) ([]byte, error) {
	var failures, mistakes []error
	first := n.last.Load()
	for i := range int64(len(n.addresses)) {
		at := (first + i) % int64(len(n.addresses))
		cmd, err := success(n.pool.Call(ctx, n.addresses[at], n.timeout, fill))
		if err == nil {
			n.last.Store(at)
			n.diagnoses.answered(n.addresses[at])
			return cmd.Body, nil
		}
		var code *CodeError
		if errors.As(err, &code) {
			refused(code)
			if code.Code == codeTopicNotExist {
				n.diagnoses.answered(n.addresses[at])
			}
		} else {
			err = n.explain(ctx, n.addresses[at], err)
		}
		err = n.diagnoses.explain(ctx, n.addresses[at], err)
		if errors.Is(err, ErrNotNameServer) {
			mistakes = append(mistakes, err)
		} else {
			failures = append(failures, err)
		}
	}
	for _, m := range mistakes {
		if len(failures) > 0 {
			m = errors.New(m.Error()) // the others may only be away
		}
		failures = append(failures, m)
	}
	return nil, errors.Join(failures...)
}
