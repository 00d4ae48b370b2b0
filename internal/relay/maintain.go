package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/outbox-relay/outbox-relay/outbox"
)

// What a session does beside relaying: gauges, purging the ledger, watching the dead rows that block a key.

const (
	gaugeEvery   = 10 * time.Second
	backlogLimit = 100_000
	purgeEvery   = time.Minute
	purgeChunk   = 1000
)

// gauge reads what operators watch, until the session is over. That it cannot be read harms no message.
func (s *session) gauge(work context.Context) error {
	var before Backlog
	for {
		backlog, err := s.store.Backlog(work, backlogLimit, slices.Collect(maps.Keys(s.topics)))
		switch {
		case work.Err() != nil:
			return nil //nolint:nilerr // the session is over
		case err != nil:
			s.log.WarnContext(work, "the backlog could not be measured", slog.String("error", err.Error()))
		default:
			s.metrics.Backlog(backlog)
			s.alarmUnbound(backlog, before)
			before = backlog
		}
		s.metrics.InDoubt(s.resolver.ages())
		if !sleep(work, gaugeEvery) {
			return nil
		}
	}
}

// alarmUnbound says which topics rows wait for that this relay has not bound: when there are any, and when it is others than before.
func (s *session) alarmUnbound(b, before Backlog) {
	if b.Unbound == 0 || before.Unbound > 0 && slices.Equal(b.UnboundTopics, before.UnboundTopics) {
		return
	}
	topics := make([]string, len(b.UnboundTopics))
	for i, topic := range b.UnboundTopics {
		topics[i] = strconv.Quote(topic)
		var invalid *outbox.InvalidError
		if errors.As(outbox.Validate(outbox.Message{Topic: topic, Payload: []byte("x")}), &invalid) {
			topics[i] += " (can never be: " + invalid.Faults[0].Rule + ")"
		}
	}
	s.log.Warn("rows wait for topics that are not bound", slog.Int64("rows", b.Unbound),
		slog.String("topics", strings.Join(topics, ", ")), slog.Bool("alert", true))
}

// purge deletes history that is older than the retention time, a little at a time.
func (s *session) purge(work context.Context) error {
	for sleep(work, purgeEvery/2+rand.N(purgeEvery)) {
		for n := purgeChunk; n == purgeChunk && work.Err() == nil; {
			var err error
			if n, err = s.store.Purge(work, s.cfg.Retention, purgeChunk); err != nil && work.Err() == nil {
				s.log.WarnContext(work, "the ledger could not be purged", slog.String("error", err.Error()))
			}
		}
	}
	return nil
}

// watchHeld frees the keys of rows that an operator has removed. A dead row that was requeued is due, and frees its key when
// it is sent.
func (s *session) watchHeld(ctx context.Context) error {
	held := s.intake.holding()
	if len(held) == 0 {
		return nil
	}
	there, err := s.store.StillThere(ctx, slices.Collect(maps.Keys(held)))
	if err != nil {
		return fmt.Errorf("look for rows that block a key: %w", err)
	}
	for _, row := range there {
		delete(held, row)
	}
	for row, key := range held {
		s.intake.vanished(key, row)
	}
	return nil
}

// sleep waits; false if ctx is done first.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// sent counts and logs confirmed rows.
func (s *session) sent(items []*item) {
	now := time.Now()
	counts := make(map[string]int64, 1)
	for _, it := range items {
		if it.batch.way == WayOneway {
			s.metrics.Unconfirmed(s.work, it.row.Topic)
		} else {
			counts[it.row.Topic]++
			s.metrics.Latency(s.work, max(0, now.Sub(it.row.CreatedAt)))
		}
		s.traces.end(it, "", now)
	}
	for topic, n := range counts {
		s.metrics.Sent(s.work, topic, n)
	}
}
