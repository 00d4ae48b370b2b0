package rocketmq

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/outbox-relay/outbox-relay/internal/relay"
	"github.com/outbox-relay/outbox-relay/internal/rocketmq/remoting"
)

// A Client is one producer of a RocketMQ cluster. All methods may be called concurrently.
//
// New makes it without touching the network; Bind checks and binds topics; Run keeps the routes fresh; Close ends it.
type Client struct {
	options Options
	log     *slog.Logger
	servers *nameServers
	brokers *remoting.Pool
	routes  *routes
	keys    *remoting.Keys
	session session // nil before Bind
}

var _ relay.Broker = (*Client)(nil)

// New returns a client. It checks the options and connects to nothing yet.
func New(o Options) (*Client, error) {
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	addresses, err := ParseNameServers(o.NameServers)
	if err != nil {
		return nil, err
	}
	c := &Client{options: o, log: o.Logger, keys: remoting.NewKeys(o.Credentials)}
	if c.servers, err = newNameServers(addresses, o.remoting(c.keys, false), o.RequestTimeout); err != nil {
		return nil, err
	}
	c.servers.explain = func(ctx context.Context, address string, err error) error {
		return c.explain(ctx, address, o.TLS != nil && o.TLS.NameServers, err)
	}
	c.routes = newRoutes(c.servers, o.RouteInterval, o.Logger)
	r := o.remoting(c.keys, true)
	r.OnCircuit = c.circuitChanged
	r.Probe = func(b *remoting.Batch) {
		b.Begin(reqGetMaxOffset)
		b.String("topic", halfTopic)
		b.Int("queueId", 0)
		_ = b.End(nil) // a few bytes: cannot be too large
	}
	if c.brokers, err = remoting.NewPool(r); err != nil {
		return nil, fmt.Errorf("connections to brokers: %w", err)
	}
	return c, nil
}

// Close ends the session and every connection. What is in flight fails. The official client leaves goroutines behind, one of
// them for ever: see package leaktest. Make one client for a process.
func (c *Client) Close() error {
	var err error
	if c.session != nil {
		// The last answer to a check-back leaves right after the checker returned; the official client can be shut down when
		// it has. A round trip of ours is long enough for that.
		c.session.quiesce()
		ctx, cancel := context.WithTimeout(context.Background(), c.options.DialTimeout)
		_, _ = c.servers.masters(ctx)
		cancel()
		err = c.session.close()
	}
	c.brokers.Close()
	c.servers.pool.Close()
	return err
}

// ClientID is how brokers list this producer in the group, as host@instance; "" before Bind.
func (c *Client) ClientID() string {
	if c.session == nil {
		return ""
	}
	return c.session.clientID()
}

// Queues returns the topic's writable queues on masters whose circuit is not open, as last routed.
func (c *Client) Queues(topic string) []relay.Queue {
	return c.routes.queues(topic, c.brokers.Available)
}

// Routed returns the topic's writable queues on all masters, whether they answer or not.
func (c *Client) Routed(topic string) []relay.Queue {
	return c.routes.queues(topic, func(string) bool { return true })
}

// Address returns the address of the broker's master; false if it is not routed or its circuit is open.
func (c *Client) Address(broker string) (string, bool) {
	address, ok := c.routes.master(broker)
	return address, ok && c.brokers.Available(address)
}

func (c *Client) circuitChanged(address string, err error) {
	if err == nil {
		c.log.Info("broker answers again", slog.String("address", address))
		return
	}
	c.log.Warn("broker does not answer; its circuit is open", slog.String("address", address), slog.Any("error", err))
	c.routes.refreshSoon()
}
