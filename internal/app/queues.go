package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/outbox-relay/outbox-relay/internal/config"
	"github.com/outbox-relay/outbox-relay/internal/postgres"
	"github.com/outbox-relay/outbox-relay/internal/relay"
)

// ShowQueues writes the fixed list of each topic, or of one, beside what the brokers have.
func ShowQueues(ctx context.Context, cfg *config.Config, topic string, w io.Writer) error {
	return withStore(ctx, cfg, func(store *postgres.Store) error {
		topics, err := store.Topics(ctx)
		if err != nil {
			return err
		}
		brokers, err := askBrokers(ctx, cfg)
		if err != nil {
			return err
		}
		defer brokers.close()
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		_, _ = fmt.Fprintln(t, "TOPIC\tQUEUE\tSTATE") // Flush tells of errors.
		for _, bound := range topics {
			if topic != "" && topic != bound.Name {
				continue
			}
			routed, err := brokers.queues(ctx, bound.Name)
			for _, q := range bound.Queues {
				_, _ = fmt.Fprintf(t, "%s\t%s\t%s\n", bound.Name, queueName(q), stateOf(q, routed, err))
			}
			for _, q := range routed {
				if !slices.Contains(bound.Queues, q) {
					_, _ = fmt.Fprintf(t, "%s\t%s\tnew: not in the list, so no ordering key goes there\n", bound.Name, queueName(q))
				}
			}
		}
		return t.Flush()
	})
}

func queueName(q relay.Queue) string { return postgres.FormatQueues([]relay.Queue{q})[0] }

func stateOf(q relay.Queue, routed []relay.Queue, err error) string {
	switch {
	case err != nil:
		return "unknown: " + OneLine(err)
	case slices.Contains(routed, q):
		return "there"
	default:
		return "missing: its ordering keys wait for it"
	}
}

// QueueChange says how the list of a topic is to be changed.
type QueueChange struct {
	Topic       string
	Queues      []string // the new list; nil = what the brokers have now
	DropMissing bool     // with what the brokers have now: take out what none has
	Pending     bool     // rows that wait may move too
	DryRun      bool
	Wait        time.Duration // for messages under way and rows that are pending
}

// waitBetween is the pause between two tries: a try ends every session for a moment if it succeeds, and holds up decisions for
// milliseconds if not.
const waitBetween = 200 * time.Millisecond

// ChangeQueues changes the fixed list of a topic.
func ChangeQueues(ctx context.Context, cfg *config.Config, c QueueChange, w io.Writer) error {
	if c.Topic == "" {
		return errors.New("name the topic: --topic")
	}
	return withStore(ctx, cfg, func(store *postgres.Store) error {
		queues, err := c.list(ctx, cfg, store)
		if err != nil {
			return err
		}
		deadline := time.Now().Add(c.Wait)
		for {
			change, err := store.SetQueues(ctx, c.Topic, queues, c.Pending, c.DryRun)
			later := errors.Is(err, postgres.ErrUndecided) || errors.Is(err, postgres.ErrWaiting)
			switch {
			case later && time.Now().Before(deadline):
			case errors.Is(err, postgres.ErrUndecided):
				return fmt.Errorf("%w. Try again with --wait 30s, or stop the relays for a moment; what stays in doubt needs "+
					"outbox-relay resolve", err)
			case errors.Is(err, postgres.ErrWaiting):
				return fmt.Errorf("%w. Let them be sent first (--wait 30s waits for a moment without any), or add --pending: they go to "+
					"their new queues at once, where consumers may read them before what is unread on the old ones", err)
			case err != nil:
				return err
			default:
				return writeChange(w, change, c.DryRun)
			}
			if err := pause(ctx, waitBetween); err != nil {
				return err
			}
		}
	})
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// list returns the new list. A queue that was not in it before must be on a broker now.
func (c QueueChange) list(ctx context.Context, cfg *config.Config, store *postgres.Store) ([]relay.Queue, error) {
	topics, err := store.Topics(ctx)
	if err != nil {
		return nil, err
	}
	var old []relay.Queue
	if at := slices.IndexFunc(topics, func(t relay.Topic) bool { return t.Name == c.Topic }); at >= 0 {
		old = topics[at].Queues
	}
	brokers, err := askBrokers(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer brokers.close()
	routed, err := brokers.queues(ctx, c.Topic)
	if err != nil {
		return nil, fmt.Errorf("ask which queues there are: %w", err)
	}
	if c.Queues == nil {
		return c.refreshed(old, routed), nil
	}
	queues, err := postgres.ParseQueues(c.Queues)
	if err != nil {
		return nil, err
	}
	for _, q := range queues {
		if !slices.Contains(routed, q) && !slices.Contains(old, q) {
			return nil, fmt.Errorf("queue %s is not on any broker that is registered: %s are", queueName(q), strings.Join(postgres.FormatQueues(routed), ", "))
		}
	}
	return queues, nil
}

// refreshed is what the brokers have now and, unless it is to be dropped, what they had. An old list that has everything stays
// as it is, so that no key moves for nothing.
func (c QueueChange) refreshed(old, routed []relay.Queue) []relay.Queue {
	all := slices.Clone(old)
	if c.DropMissing {
		all = slices.DeleteFunc(all, func(q relay.Queue) bool { return !slices.Contains(routed, q) })
	}
	changed := len(all) != len(old)
	for _, q := range routed {
		if !slices.Contains(all, q) {
			all, changed = append(all, q), true
		}
	}
	if changed {
		relay.SortQueues(all)
	}
	return all
}

func writeChange(w io.Writer, c postgres.QueueChange, dry bool) error {
	did := "the list is now:"
	switch {
	case slices.Equal(c.Was, c.Now):
		did = "the list is already:"
	case dry:
		did = "dry run, nothing was changed; the list would be:"
	}
	_, err := fmt.Fprintf(w, "was: %s\n%s %s\n%d rows of keys that move wait\n",
		strings.Join(postgres.FormatQueues(c.Was), " "), did, strings.Join(postgres.FormatQueues(c.Now), " "), c.Waiting)
	return err
}
