package rocketmq

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/outbox-relay/outbox-relay/internal/relay"
)

// How often routes are refreshed when something is wrong.
const (
	routeRetry  = 2 * time.Second // while a topic has no queue
	routeMinGap = time.Second     // between two refreshes on demand
)

// routes knows the routes of the bound topics.
type routes struct {
	servers  *nameServers
	interval time.Duration
	log      *slog.Logger
	soon     chan struct{}

	mu      sync.RWMutex
	topics  map[string]*topicRoute
	masters map[string]string // by broker name, of all topics
	trouble map[string]string // what was logged last about a topic
}

func newRoutes(servers *nameServers, interval time.Duration, log *slog.Logger) *routes {
	return &routes{
		servers: servers, interval: interval, log: log, soon: make(chan struct{}, 1),
		topics: make(map[string]*topicRoute), masters: make(map[string]string), trouble: make(map[string]string),
	}
}

// queues returns the writable queues of a topic on masters that are wanted.
func (r *routes) queues(topic string, wanted func(address string) bool) []relay.Queue {
	r.mu.RLock()
	route := r.topics[topic]
	r.mu.RUnlock()
	if route == nil {
		return nil
	}
	var queues []relay.Queue
	for _, q := range route.queues {
		address := route.masters[q.broker]
		if q.perm&permWrite == 0 || address == "" || !wanted(address) {
			continue
		}
		for id := range q.write {
			queues = append(queues, relay.Queue{Broker: q.broker, ID: id})
		}
	}
	return queues
}

func (r *routes) master(broker string) (string, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	address, ok := r.masters[broker]
	return address, ok
}

// addresses returns the masters of the bound topics by broker name.
func (r *routes) addresses() map[string]string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return maps.Clone(r.masters)
}

func (r *routes) store(topic string, route *topicRoute) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.topics[topic] = route
	masters := make(map[string]string)
	for _, t := range r.topics {
		maps.Copy(masters, t.masters)
	}
	r.masters = masters
}

// refreshSoon asks for a refresh ahead of time.
func (r *routes) refreshSoon() {
	select {
	case r.soon <- struct{}{}:
	default:
	}
}

// run refreshes the routes until ctx ends.
func (r *routes) run(ctx context.Context) {
	for {
		wait := r.interval
		if r.refresh(ctx) {
			wait = min(wait, routeRetry)
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-r.soon:
			select {
			case <-time.After(routeMinGap):
			case <-ctx.Done():
			}
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// refresh asks for every topic's route and reports whether something is wrong. A route that cannot be had stays as it was; a
// topic that the name servers no longer know has no queues: that is also what they say when all its brokers are down.
func (r *routes) refresh(ctx context.Context) (wrong bool) {
	r.mu.RLock()
	topics := slices.Sorted(maps.Keys(r.topics))
	r.mu.RUnlock()
	for _, topic := range topics {
		route, err := r.servers.route(ctx, topic)
		if ctx.Err() != nil {
			return true
		}
		switch {
		case err == nil:
			r.store(topic, route)
			err = route.writable(topic)
		case errors.Is(err, ErrTopicMissing):
			r.store(topic, &topicRoute{})
		}
		wrong = wrong || err != nil
		r.report(topic, err)
	}
	return wrong
}

// report logs a topic's trouble once for each change of kind: the text of one trouble varies.
func (r *routes) report(topic string, err error) {
	now := ""
	for _, kind := range []error{ErrTopicMissing, ErrNotWritable, ErrUnreachable} {
		if errors.Is(err, kind) {
			now = kind.Error()
		}
	}
	if err != nil && now == "" {
		now = err.Error()
	}
	r.mu.Lock()
	before := r.trouble[topic]
	r.trouble[topic] = now
	r.mu.Unlock()
	switch now {
	case before:
	case "":
		r.log.Info("the topic's route is known again", slog.String("topic", topic))
	default:
		r.log.Warn("the topic's route cannot be refreshed", slog.String("topic", topic), slog.String("error", err.Error()))
	}
}

// writable says whether the topic has a queue that may be written.
func (t *topicRoute) writable(topic string) error {
	if len(t.queues) == 0 {
		return &TopicError{Topic: topic, Err: ErrTopicMissing}
	}
	forbidden := true
	for _, q := range t.queues {
		if q.perm&permWrite != 0 && q.write > 0 {
			forbidden = false
			if t.masters[q.broker] != "" {
				return nil
			}
		}
	}
	first := t.queues[0]
	if forbidden {
		return &TopicError{Topic: topic, Broker: first.broker, Perm: permText(first.perm), Err: ErrNotWritable}
	}
	return &TopicError{Topic: topic, Broker: first.broker, Err: unreachable(errors.New("the broker has no master at present"))}
}
