package rocketmq

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/outbox-relay/outbox-relay/internal/rocketmq/remoting"
)

// ParseNameServers splits a list of name servers: host:port, [::1]:9876 or http://host:port, separated by ; or , or blanks.
// Host names are resolved each time a connection is made.
func ParseNameServers(list string) ([]string, error) {
	var addresses []string
	for _, s := range strings.FieldsFunc(list, func(r rune) bool { return r == ';' || r == ',' || r == ' ' }) {
		s = strings.TrimSuffix(strings.TrimPrefix(s, "http://"), "/")
		host, port, err := net.SplitHostPort(s)
		if err != nil {
			return nil, fmt.Errorf("name server %q: want host:port: %w", s, err)
		}
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || host == "" {
			return nil, fmt.Errorf("name server %q: want host:port with a port from 1 to 65535", s)
		}
		addresses = append(addresses, s)
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
	last      atomic.Int64 // the one that answered last
	explain   func(ctx context.Context, address string, err error) error
}

func newNameServers(addresses []string, o remoting.Options, timeout time.Duration) (*nameServers, error) {
	o.Connections = 1
	o.Probe = func(b *remoting.Batch) { _ = routeRequest(b, "TBW102") }
	pool, err := remoting.NewPool(o)
	if err != nil {
		return nil, fmt.Errorf("connections to name servers: %w", err)
	}
	return &nameServers{addresses: addresses, pool: pool, timeout: timeout}, nil
}

func routeRequest(b *remoting.Batch, topic string) error {
	b.Begin(reqRoute)
	b.String("topic", topic)
	b.Bool("acceptStandardJsonOnly", true)
	return b.End(nil)
}

// route asks for the topic's route. ErrTopicMissing if a name server answered and none knows the topic, ErrUnreachable if none
// answered.
func (n *nameServers) route(ctx context.Context, topic string) (*topicRoute, error) {
	missing := false
	body, err := n.ask(ctx, func(b *remoting.Batch) error { return routeRequest(b, topic) }, func(err *CodeError) {
		missing = missing || err.Code == codeTopicNotExist
	})
	switch {
	case err == nil:
		return parseRoute(body)
	case missing:
		return nil, ErrTopicMissing
	default:
		return nil, unreachable(err)
	}
}

// masters returns the masters that are registered, by broker name.
func (n *nameServers) masters(ctx context.Context) (map[string]string, error) {
	body, err := n.ask(ctx, func(b *remoting.Batch) error {
		b.Begin(reqClusterInfo)
		return b.End(nil)
	}, func(*CodeError) {})
	if err != nil {
		return nil, unreachable(err)
	}
	return parseClusterInfo(body)
}

// ask sends a request to one name server after the other until one answers with success, the one that did so last first.
func (n *nameServers) ask(ctx context.Context, fill func(*remoting.Batch) error, refused func(*CodeError)) ([]byte, error) {
	var failures []error
	first := n.last.Load()
	for i := range int64(len(n.addresses)) {
		at := (first + i) % int64(len(n.addresses))
		cmd, err := success(n.pool.Call(ctx, n.addresses[at], n.timeout, fill))
		if err == nil {
			n.last.Store(at)
			return cmd.Body, nil
		}
		var code *CodeError
		if errors.As(err, &code) {
			refused(code)
		} else {
			err = n.explain(ctx, n.addresses[at], err)
		}
		failures = append(failures, fmt.Errorf("name server %s: %w", n.addresses[at], err))
	}
	return nil, errors.Join(failures...)
}
