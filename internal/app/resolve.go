package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/outbox-relay/outbox-relay/internal/config"
	"github.com/outbox-relay/outbox-relay/internal/postgres"
	"github.com/outbox-relay/outbox-relay/internal/relay"
	"github.com/outbox-relay/outbox-relay/internal/rocketmq"
)

var errNoNameServers = errors.New("no name servers are configured")

// Resolution is an operator's word on open messages.
type Resolution struct {
	Selection
	OnTopic    bool // settle: the message is on its topic. Otherwise strike: it is not, send the row again.
	BrokerGone bool // nobody can be asked, and the broker does not come back
	DryRun     bool
}

// Resolve closes open messages on an operator's word. The broker must have refused late commits first, unless it is gone.
func Resolve(ctx context.Context, cfg *config.Config, r Resolution, w io.Writer) error {
	if !r.names() {
		return errors.New("name the messages: --broker, --topic, --row or --attempt")
	}
	return withStore(ctx, cfg, func(store *postgres.Store) error {
		entries, err := store.OpenEntries(ctx)
		if err != nil {
			return err
		}
		entries = slices.DeleteFunc(entries, func(e postgres.OpenEntry) bool { return !r.has(e) })
		if len(entries) == 0 {
			_, err := fmt.Fprintln(w, "none of the open messages is meant: nothing to do")
			return err
		}
		for _, e := range entries {
			if left := e.Window + cfg.AppendMargin - e.Age; left > 0 {
				return fmt.Errorf("the broker may still accept the commit of row %d (%s): wait for another %s", e.Entry.Row, e.UniqKey(), left)
			}
		}
		if err := r.confirm(ctx, cfg, entries); err != nil {
			return err
		}
		return r.write(ctx, cfg, store, entries, w)
	})
}

// confirm asks every broker concerned whether the outcome can still change.
func (r Resolution) confirm(ctx context.Context, cfg *config.Config, entries []postgres.OpenEntry) error {
	brokers, err := askBrokers(ctx, cfg)
	if err != nil {
		return err
	}
	defer brokers.close()
	concerned := make(map[string][]postgres.OpenEntry)
	for _, e := range entries {
		concerned[e.Broker] = append(concerned[e.Broker], e)
	}
	var faults []error
	for _, name := range slices.Sorted(maps.Keys(concerned)) {
		answers, err := r.ask(ctx, brokers, name, concerned[name])
		switch {
		case err == nil:
			faults = append(faults, answers)
		case !r.BrokerGone:
			faults = append(faults, fmt.Errorf("broker %s: %w. If it is gone for good, add --broker-gone", name, err))
		}
	}
	return errors.Join(faults...)
}

// ask sends the broker a direct rollback for each message, which it refuses once no commit can be accepted any more. unasked is
// why it could not be asked; refusal, what speaks against the operator's word.
func (r Resolution) ask(ctx context.Context, brokers *brokers, name string, entries []postgres.OpenEntry) (refusal, unasked error) {
	address, registered := brokers.master(name)
	switch {
	case !brokers.known():
		return nil, fmt.Errorf("it cannot be asked: %w", brokers.unknown)
	case !registered:
		return nil, errors.New("it is not registered at the name servers, and cannot be asked")
	case r.DryRun:
		return nil, nil
	}
	if refusal, unasked := fenced(ctx, brokers.client, name, address, entries); refusal != nil || unasked != nil || r.OnTopic {
		return refusal, unasked
	}
	for _, e := range entries {
		half := e.Half()
		found, err := brokers.client.Lookup(ctx, address, half.Topic, half.UniqKey)
		switch {
		case err != nil:
			return nil, fmt.Errorf("it does not answer: %w", err)
		case found:
			return fmt.Errorf("broker %s has %s on topic %s: settle it", name, half.UniqKey, half.Topic), nil
		}
	}
	return nil, nil
}

// fenced asks for a direct rollback of each half. A message that was sent plainly has none: nobody can say that it does not come
// late.
func fenced(ctx context.Context, client *rocketmq.Client, name, address string, entries []postgres.OpenEntry) (refusal, unasked error) {
	var halves []relay.StoredHalf
	var rows []int64
	for _, e := range entries {
		if e.Way == relay.WayHalf {
			halves, rows = append(halves, e.Half()), append(rows, e.Entry.Row)
		}
	}
	if len(halves) == 0 {
		return nil, nil
	}
	for i, a := range client.Rollback(ctx, address, halves) {
		switch {
		case a.Err != nil:
			return nil, fmt.Errorf("it does not answer: %w", a.Err)
		case !relay.Fenced(a):
			return fmt.Errorf("broker %s does not refuse a late commit of row %d (%s) yet, it answered %d %s: wait",
				name, rows[i], halves[i].UniqKey, a.Code, a.Remark), nil
		}
	}
	return nil, nil
}

// write closes the messages, each attempt in a transaction of its own, so that what was done stays done.
func (r Resolution) write(ctx context.Context, cfg *config.Config, store *postgres.Store, entries []postgres.OpenEntry, w io.Writer) error {
	verdict, by := "struck: its row is pending again", uuid.New()
	if r.OnTopic {
		verdict = "settled: its row is deleted"
	}
	if r.DryRun {
		verdict = "would be " + strings.Replace(verdict, ": its row is", ", its row", 1)
	}
	var messages []OpenMessage
	for _, e := range entries {
		messages = append(messages, openMessage(e, verdict))
	}
	if err := writeMessages(w, messages); err != nil || r.DryRun {
		return err
	}
	closings := make(map[relay.AttemptID]*relay.Closing)
	for _, e := range entries {
		c := closings[e.Attempt]
		if c == nil {
			c = &relay.Closing{Attempt: e.Attempt}
			closings[e.Attempt] = c
		}
		if r.OnTopic {
			c.Settled = append(c.Settled, e.Position)
		} else {
			c.Struck = append(c.Struck, e.Position)
		}
	}
	done := 0
	for _, c := range closings {
		changed, err := store.Resolve(ctx, by, *c, cfg.AppendMargin)
		if err != nil {
			return fmt.Errorf("%w; %d of %d messages are done: run it again", err, done, len(entries))
		}
		done += changed
	}
	_, err := fmt.Fprintf(w, "%d of %d messages changed, in %d attempts; closed_by %s\n", done, len(entries), len(closings), by)
	return err
}
