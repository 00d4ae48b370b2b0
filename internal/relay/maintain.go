package relay

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"time"
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
	alarmed := false
	for {
		backlog, err := s.store.Backlog(work, backlogLimit)
		switch {
		case work.Err() != nil:
			return nil //nolint:nilerr // the session is over
		case err != nil:
			s.log.WarnContext(work, "the backlog could not be measured", slog.String("error", err.Error()))
		default:
			s.metrics.Backlog(backlog)
			alarmed = s.alarmUnbound(backlog.Unbound, alarmed)
		}
		s.metrics.InDoubt(s.resolver.ages())
		if !sleep(work, gaugeEvery) {
			return nil
		}
	}
}

// alarmUnbound says once that rows wait for topics that nobody has bound.
func (s *session) alarmUnbound(rows int64, alarmed bool) bool {
	if rows > 0 && !alarmed {
		s.log.Warn("rows wait for topics that no relay has bound", slog.Int64("rows", rows), slog.Bool("alert", true))
	}
	return rows > 0
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
	for _, it := range items {
		s.metrics.Sent(s.work, it.row.Topic, now.Sub(it.row.CreatedAt))
		s.traces.end(it, "", now)
	}
}
