package app

import (
	"github.com/outbox-relay/outbox-relay/internal/config"
	"github.com/outbox-relay/outbox-relay/internal/relay"
)

// relayConfig is what the flow needs of the settings.
func (a *app) relayConfig() relay.Config { return a.relayConfigOf(a.cfg) }

func (a *app) relayConfigOf(c *config.Config) relay.Config {
	r := relay.DefaultConfig()
	r.Instance, r.ClientID, r.Version = c.Instance, a.client.ClientID(), a.version
	r.Topics = topicsOf(c)
	r.BatchRows, r.BatchBytes, r.InFlight = c.Batch.Rows, c.Batch.Bytes, c.Batch.InFlight
	r.PollBusy, r.PollIdle = c.Poll.Busy, c.Poll.Idle
	r.Window, r.AppendMargin, r.CommitTimeout = c.Window, c.AppendMargin, c.CommitTimeout
	r.Profile, r.Compression = c.Profile, relay.Compression{Above: c.Compression.Above, Level: c.Compression.Level}
	r.Lease, r.Renew, r.Retention = c.Lease.Duration, c.Lease.Renew, c.Retention
	r.At, r.Clock = a.at, a.clock
	r.Retry = relay.Backoff{Initial: c.Retry.Initial, Factor: c.Retry.Factor, Jitter: c.Retry.Jitter, Max: c.Retry.Max}
	return r
}

func (a *app) topics() []relay.Topic { return topicsOf(a.cfg) }

func topicsOf(c *config.Config) []relay.Topic {
	topics := make([]relay.Topic, len(c.Topics))
	for i, t := range c.Topics {
		topics[i] = relay.Topic{Name: t.Name, Type: t.Type, Delivery: t.Delivery, OnDead: t.OnDead}
	}
	return topics
}
