package rocketmq

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/outbox-relay/outbox-relay/internal/endpoint"
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
	names   endpoint.Names
	delays  delays
	keys    *remoting.Keys

	instances []string   // of the producers
	session   *producers // nil before Bind
	traces    *messageTraces
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
	c := &Client{
		options: o, names: o.names(), instances: instanceNames(&o), keys: remoting.NewKeys(o.Credentials),
		delays: delays{known: make(map[string]knownDelays)},
	}
	c.log = o.Logger.With(slog.String("client_id", strings.Join(c.ClientIDs(), ",")))
	c.options.Logger, c.options.Group = c.log, c.names.Wire(o.Group)
	if c.servers, err = newNameServers(addresses, c.names, o.remoting(c.keys, false), o.RequestTimeout); err != nil {
		return nil, err
	}
	c.servers.explain = func(ctx context.Context, address string, err error) error {
		return c.explain(ctx, address, o.TLS != nil && o.TLS.NameServers, err)
	}
	c.routes = newRoutes(c.servers, o.RouteInterval, c.log)
	r := o.remoting(c.keys, true)
	r.OnCircuit = c.circuitChanged
	r.Probe = c.probe
	if c.brokers, err = remoting.NewPool(r); err != nil {
		return nil, fmt.Errorf("connections to brokers: %w", err)
	}
	if c.traces, err = newMessageTraces(c, o.Group); err != nil {
		return nil, err
	}
	return c, nil
}

// probe asks a broker for next to nothing.
func (c *Client) probe(b *remoting.Batch) {
	b.Begin(reqGetMaxOffset)
	b.String("topic", halfTopic)
	b.Int("queueId", 0)
	_ = b.End(nil) // a few bytes: cannot be too large
}

// Close ends the session and every connection. What is in flight fails.
func (c *Client) Close() error {
	var err error
	if c.session != nil {
		err = c.session.close()
	}
	c.traces.close() // what was answered to the last check-backs is in it
	c.brokers.Close()
	c.servers.pool.Close()
	return err
}

// ClientIDs is how brokers list the producers of this client in the group, once it is bound: address@instance each. They are
// in each of its log lines as well.
func (c *Client) ClientIDs() []string { return clientIDs(c.instances) }

// ClientID is ClientIDs in one text; "" before Bind.
func (c *Client) ClientID() string {
	if c.session == nil {
		return ""
	}
	return strings.Join(c.ClientIDs(), ",")
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
