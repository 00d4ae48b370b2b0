package app

import (
	"context"
	"log/slog"
	"time"

	"github.com/outbox-relay/outbox-relay/internal/relay"
)

// watchEvery is how often readiness and the state of the brokers are looked at.
const watchEvery = 500 * time.Millisecond

// examineEvery is how often topics and brokers are asked that did not answer at the start.
const examineEvery = 10 * time.Second

// watch keeps the conditions of readiness and the gauges of the brokers true until ctx is done.
func (a *app) watch(ctx context.Context, r *relay.Relay) error {
	examined := time.Now()
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		a.watchSession(ctx, r)
		a.watchBrokers()
		if a.unexamined.open() && time.Since(examined) > examineEvery {
			if err := a.examine(ctx, &a.unexamined); err != nil {
				a.log.ErrorContext(ctx, "exactly-once delivery cannot be promised", slog.String("error", OneLine(err)), slog.Bool("alert", true))
			}
			examined = time.Now()
		}
		a.bindLater(ctx, r)
		select {
		case <-ctx.Done():
			return nil
		case <-a.reload.Signal:
			a.reloadSettings(ctx, r)
		case <-tick.C:
		}
	}
}

// watchSession: a session proves that the database answers, because its lease is renewed; without one the database is
// asked.
func (a *app) watchSession(ctx context.Context, r *relay.Relay) {
	if r.State() != nil {
		a.set(ctx, conditionDatabase, "")
		a.set(ctx, conditionSession, "")
		return
	}
	if time.Since(a.retuned) < betweenSessions {
		return
	}
	ping, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	reason := ""
	if err := a.store.Ping(ping); err != nil {
		if ctx.Err() != nil {
			return
		}
		reason = OneLine(err)
	}
	a.set(ctx, conditionDatabase, reason)
	a.set(ctx, conditionSession, "no session is open")
}

func (a *app) watchBrokers() {
	for _, topic := range a.now.Topics {
		queues := a.client.Routed(topic.Name)
		for _, queue := range queues {
			if !a.examined[queue.Broker] {
				a.examined[queue.Broker] = true
				a.unexamined.brokers = true
			}
			_, up := a.client.Address(queue.Broker)
			a.metrics.Broker(queue.Broker, up)
		}
		// Without a queue nothing is sent, so no broker refuses anything: only the route tells.
		a.metrics.Paused("*", topic.Name, relay.ReasonNoPermission, len(queues) == 0)
	}
}
