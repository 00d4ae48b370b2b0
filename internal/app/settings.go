package app

import (
	"slices"

	"go.opentelemetry.io/otel/attribute"

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
	r.SendMessages, r.SendBytes = c.Send.Messages, int(c.Send.Bytes)
	r.PollBusy, r.PollIdle = c.Poll.Busy, c.Poll.Idle
	r.Window, r.AppendMargin, r.CommitTimeout = c.Window, c.AppendMargin, c.CommitTimeout
	r.Profile, r.Compression = c.Profile, relay.Compression{Above: c.Compression.Above, Level: c.Compression.Level}
	r.Lease, r.Renew, r.Retention = c.Lease.Duration, c.Lease.Renew, c.Retention
	r.LogSends = c.Log.Sends
	r.At, r.Clock = a.at, a.clock
	r.Retry = relay.Backoff{Initial: c.Retry.Initial, Factor: c.Retry.Factor, Jitter: c.Retry.Jitter, Max: c.Retry.Max}
	return r
}

// topic returns the settings of one topic.
func (a *app) topic(name string) relay.Topic {
	for _, t := range a.topics() {
		if t.Name == name {
			return t
		}
	}
	return relay.Topic{}
}

// exact reports whether any topic promises exactly once.
func (a *app) exact() bool { return slices.ContainsFunc(a.topics(), relay.Topic.Exact) }

// spanAttributes are those of OpenTelemetry's conventions that are the same on every span.
func (a *app) spanAttributes() []attribute.KeyValue {
	attributes := []attribute.KeyValue{attribute.String("messaging.client.id", a.clientID)}
	if a.cfg.Namespace != "" {
		attributes = append(attributes, attribute.String("messaging.rocketmq.namespace", a.cfg.Namespace))
	}
	return attributes
}

// topics are those of the settings as they are now.
func (a *app) topics() []relay.Topic {
	if a.now != nil {
		return topicsOf(a.now)
	}
	return topicsOf(a.cfg)
}

func topicsOf(c *config.Config) []relay.Topic {
	topics := make([]relay.Topic, len(c.Topics))
	for i, t := range c.Topics {
		topics[i] = relay.Topic{Name: t.Name, Namespace: c.Namespace, Type: t.Type, Mode: t.Mode, Delivery: t.Delivery, OnDead: t.OnDead}
	}
	return topics
}
