package relay

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
)

// reload is what a relay is to change to. Settings and topics are read by everything in a session, so they change between two:
// the one that runs ends in good order, which finishes what is under way, and the next one begins at once.
type reload struct {
	mu   sync.Mutex
	next *Config
	stop context.CancelFunc // of the session that runs
	once bool               // the topics of the start are bound; Run's
}

// Reload makes the relay go on with the topics, batches, polls, retries and compression of cfg; nothing else of it is taken over. It does not
// wait. A topic of cfg must have a route; one that is of another type in outbox_topic is left out, with an alert.
func (r *Relay) Reload(cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return fmt.Errorf("relay settings: %w", err)
	}
	r.reload.mu.Lock()
	defer r.reload.mu.Unlock()
	r.reload.next = &cfg
	if r.reload.stop != nil {
		r.reload.stop()
	}
	return nil
}

// turn is called between two sessions. It takes over what Reload has left, and returns a context that the next Reload ends.
func (r *Relay) turn(ctx context.Context) (context.Context, context.CancelFunc) {
	r.reload.mu.Lock()
	defer r.reload.mu.Unlock()
	if r.reload.next != nil {
		r.takeOver(ctx, *r.reload.next)
		r.reload.next = nil
	}
	turn, stop := context.WithCancel(ctx)
	r.reload.stop = stop
	return turn, stop
}

func (r *Relay) takeOver(ctx context.Context, next Config) {
	c := &r.cfg
	c.Topics = slices.Clone(next.Topics)
	c.BatchRows, c.BatchBytes, c.InFlight = next.BatchRows, next.BatchBytes, next.InFlight
	c.PollBusy, c.PollIdle, c.Retry, c.Compression = next.PollBusy, next.PollIdle, next.Retry, next.Compression
	for name, bound := range r.topics {
		at := slices.IndexFunc(c.Topics, func(t Topic) bool { return t.Name == name })
		if at < 0 {
			delete(r.topics, name)
			r.log.WarnContext(ctx, "topic removed: its rows wait", slog.String("topic", name))
			continue
		}
		if want := c.Topics[at]; want.Type != bound.Type || want.OnDead != bound.OnDead || want.Delivery != bound.Delivery {
			r.log.WarnContext(ctx, "the settings of a topic differ from outbox_topic, which is right", slog.String("topic", name),
				slog.String("type", bound.Type), slog.String("on_dead", bound.OnDead), slog.String("delivery", bound.Delivery))
		}
	}
}

// leftOut reports whether a topic that cannot be bound is left out: what runs is not ended by a mistake in new settings.
func (r *Relay) leftOut(ctx context.Context, topic string, err error) bool {
	if !r.reload.once {
		return false
	}
	r.log.ErrorContext(ctx, "topic left out: its rows wait", slog.String("topic", topic), slog.String("error", err.Error()), slog.Bool("alert", true))
	return true
}
