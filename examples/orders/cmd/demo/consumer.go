package main

import (
	"context"
	"fmt"
	"time"

	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/rlog"

	"github.com/outbox-relay/outbox-relay/examples/orders"
	"github.com/outbox-relay/outbox-relay/examples/orders/internal/audit"
)

// startConsumer subscribes to the topic as any service would, with the official client, and tells the audit what comes. The
// function it returns stops it.
func startConsumer(s *servers, a *audit.Audit) (stop func(), err error) {
	rlog.SetLogger(silent{})
	push, err := consumer.NewPushConsumer(
		consumer.WithNameServer(primitive.NamesrvAddr{s.nameServer}),
		consumer.WithGroupName(s.topic+"_consumer"),
		consumer.WithInstance(s.topic),
		consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset),
		consumer.WithConsumerOrder(true), // one message of a queue after the other
	)
	if err != nil {
		return nil, fmt.Errorf("make a consumer: %w", err)
	}
	err = push.Subscribe(s.topic, consumer.MessageSelector{},
		func(_ context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
			now := time.Now()
			for _, m := range messages {
				a.Delivered(delivery(m, now))
			}
			return consumer.ConsumeSuccess, nil
		})
	if err != nil {
		return nil, fmt.Errorf("subscribe to %s: %w", s.topic, err)
	}
	if err := push.Start(); err != nil {
		return nil, fmt.Errorf("start the consumer: %w", err)
	}
	return func() { _ = push.Shutdown() }, nil
}

// delivery reads a message. A real service would look the deduplication key up in a table of its own, with a unique index,
// in the transaction that does the work: see examples/consumer-go and examples/consumer-java.
func delivery(m *primitive.MessageExt, at time.Time) audit.Delivery {
	d := audit.Delivery{
		ID: m.GetProperty("outbox-dedup-key"), Broker: m.Queue.BrokerName, Queue: m.Queue.QueueId, Offset: m.QueueOffset, At: at,
	}
	event, err := orders.DecodePlaced(m.Body)
	if err != nil || event.ID != d.ID {
		return d // Without customer and number it is like no order that was committed.
	}
	d.Customer, d.Number = event.Customer, event.Number
	return d
}

// silent drops the client's log, which tells of each of its steps.
type silent struct{}

func (silent) Debug(string, map[string]any)   {}
func (silent) Info(string, map[string]any)    {}
func (silent) Warning(string, map[string]any) {}
func (silent) Error(string, map[string]any)   {}
func (silent) Fatal(string, map[string]any)   {}
func (silent) Level(string)                   {}
func (silent) OutputPath(string) error        { return nil }
