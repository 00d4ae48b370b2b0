package relay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
)

// ErrBinding means that a topic is not what the settings say. Waiting does not mend it.
var ErrBinding = errors.New("topic cannot be bound")

// begin reads the origin and binds the topics: what holds for a topic is written once, by the first relay, and is right
// wherever another relay's file differs. Once done it does nothing.
func (r *Relay) begin(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Lease)
	defer cancel()
	if r.origin == "" {
		origin, err := r.store.Origin(ctx)
		if err != nil {
			return fmt.Errorf("read the outbox's origin: %w", err)
		}
		r.origin = origin.String()
	}
	for _, want := range r.cfg.Topics {
		if _, bound := r.topics[want.Name]; bound {
			continue
		}
		topic, err := r.bind(ctx, want)
		if errors.Is(err, ErrBinding) && r.leftOut(ctx, want.Name, err) {
			continue
		}
		if err != nil {
			return err
		}
		r.topics[want.Name] = topic
	}
	r.reload.once = true
	return nil
}

// SortQueues puts a list of queues in the order that is written: the same whoever writes it.
func SortQueues(queues []Queue) {
	slices.SortFunc(queues, func(a, b Queue) int {
		return cmp.Or(strings.Compare(a.Broker, b.Broker), a.ID-b.ID)
	})
}

// confirm reads both again once the session has its lease. Whoever changes the origin or the queues of a topic deletes every
// lease in the same transaction, so what is read here holds for as long as the lease stands: no decision can be made on what
// was true before.
func (r *Relay) confirm(ctx context.Context) error {
	origin, err := r.store.Origin(ctx)
	if err != nil {
		return fmt.Errorf("read the outbox's origin: %w", err)
	}
	if origin.String() != r.origin {
		return fmt.Errorf("%w: its origin was %s when this relay started, and is %s now: start the relay again", ErrMoved, r.origin, origin)
	}
	for name, bound := range r.topics {
		topic, err := r.store.BindTopic(ctx, bound)
		if err != nil {
			return fmt.Errorf("bind topic %s: %w", name, err)
		}
		if len(topic.Queues) == 0 {
			return noQueues(name)
		}
		r.topics[name] = topic
	}
	return nil
}

func noQueues(topic string) error {
	return fmt.Errorf("%w: %s has no queues in outbox_topic; ordering keys are hashed over that list", ErrBinding, topic)
}

func (r *Relay) bind(ctx context.Context, want Topic) (Topic, error) {
	want.Queues = slices.Clone(r.broker.Routed(want.Name))
	if len(want.Queues) == 0 {
		return Topic{}, fmt.Errorf("bind topic %s: it has no route", want.Name)
	}
	SortQueues(want.Queues)
	topic, err := r.store.BindTopic(ctx, want)
	if err != nil {
		return Topic{}, fmt.Errorf("bind topic %s: %w", want.Name, err)
	}
	if topic.Type != want.Type {
		return Topic{}, fmt.Errorf("%w: %s is of type %q in outbox_topic and %q in the settings", ErrBinding, want.Name, topic.Type, want.Type)
	}
	if topic.Namespace != want.Namespace {
		return Topic{}, fmt.Errorf("%w: %s was bound in namespace %q and the settings say %q: what is in doubt would be looked for on another "+
			"topic. If nothing is open (outbox-relay resolve list), set the namespace in outbox_topic", ErrBinding, want.Name, topic.Namespace, want.Namespace)
	}
	if len(topic.Queues) == 0 {
		return Topic{}, noQueues(want.Name)
	}
	if topic.OnDead != want.OnDead || topic.Delivery != want.Delivery || topic.Mode != want.Mode {
		r.log.WarnContext(ctx, "the settings of a topic differ from outbox_topic, which is right", slog.String("topic", topic.Name),
			slog.String("on_dead", topic.OnDead), slog.String("delivery", topic.Delivery), slog.String("mode", topic.Mode))
	}
	return topic, nil
}
