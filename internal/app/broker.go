package app

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/outbox-relay/outbox-relay/internal/config"
	"github.com/outbox-relay/outbox-relay/internal/relay"
	"github.com/outbox-relay/outbox-relay/internal/rocketmq"
	"github.com/outbox-relay/outbox-relay/internal/telemetry"
	"github.com/outbox-relay/outbox-relay/txcheck"
)

// brokerTime is what the checker goes by: the halves are born by the brokers' clocks. Until one has been read it is this
// machine's.
func (a *app) brokerTime() time.Time {
	if r := a.relay.Load(); r != nil {
		return r.BrokerTime()
	}
	if a.clock != nil {
		return a.clock()
	}
	return time.Now()
}

// reachBroker makes the client, with the checker that answers about half messages, and waits until every topic is bound. A
// topic that does not exist or may not be written is a mistake.
func (a *app) reachBroker(ctx context.Context) error {
	checker, err := txcheck.New(txcheck.Options{Origin: a.origin, Window: a.cfg.Window, Clock: a.brokerTime, OnForeign: a.foreign})
	if err != nil {
		return err
	}
	options := rocketmq.Options{
		NameServers: strings.Join(a.cfg.NameServers, ";"),
		Group:       a.cfg.Group,
		Namespace:   a.cfg.Namespace,
		Producers:   a.cfg.Producers,
		OnProducer:  func() { a.metrics.Producer(context.WithoutCancel(ctx)) },
		Instance:    a.cfg.Instance,
		Connections: a.cfg.Connections,
		SendTimeout: a.cfg.SendTimeout,
		Trace: rocketmq.TraceOptions{
			Enabled: a.cfg.Trace.Enabled, Topic: a.cfg.Trace.Topic, Cloud: a.cfg.AccessChannel == config.ChannelCloud,
			OnRecords: func(written bool, n int) { a.metrics.MessageTraces(context.WithoutCancel(ctx), written, n) },
		},
		Check: checker.Check,
		OnCheck: func(_ txcheck.Half, answer txcheck.Answer) {
			if a.at != nil {
				a.at(relay.PointCheck)
			}
			a.metrics.CheckBack(context.WithoutCancel(ctx), answer)
		},
		Logger: telemetry.Component(a.base, "rocketmq"),
	}
	secure(&options, a.cfg)
	client, err := rocketmq.New(options)
	if err != nil {
		return err
	}
	a.closers.add("broker client", func(context.Context) error { return client.Close() })
	a.client = client
	a.clientID = strings.Join(client.ClientIDs(), ",")
	a.log = a.log.With(slog.String("client_id", a.clientID))
	topics := topicNames(a.topics())
	err = a.await(ctx, conditionTopics, func(ctx context.Context) error {
		err := client.Bind(ctx, topics)
		if errors.Is(err, rocketmq.ErrAccess) || errors.Is(err, rocketmq.ErrTopicMissing) || errors.Is(err, rocketmq.ErrNotWritable) ||
			errors.Is(err, rocketmq.ErrNotNameServer) {
			return mistake(err)
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, topic := range topics {
		a.bound[topic] = true
	}
	a.progress.Tick()
	a.unexamined = examination{access: topics, topics: topics, brokers: true}
	return a.examine(ctx, &a.unexamined)
}

// foreign says, once for each origin, that another outbox or program is asked about in our group.
func (a *app) foreign(h txcheck.Half) {
	a.metrics.Alert(relay.AlertForeign, true)
	a.log.Warn("the producer group is shared with another outbox or program: brokers ask each about the other's half messages",
		slog.String("group", h.Group), slog.String("origin", h.Origin), slog.String("topic", h.Topic),
		slog.String("uniq_key", h.UniqKey), slog.Bool("alert", true))
}

func topicNames(topics []relay.Topic) []string {
	names := make([]string, len(topics))
	for i, t := range topics {
		names[i] = t.Name
	}
	return names
}
