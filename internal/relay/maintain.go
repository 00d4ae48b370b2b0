package relay

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"
)

// What a session does beside relaying: gauges, purging the ledger, watching the dead rows that block a key.

const (
	gaugeEvery   = 10 * time.Second
	backlogLimit = 1_000_000
	purgeEvery   = time.Minute
	purgeChunk   = 1000
)

// gauge reads what operators watch, until the session is over.
func (s *session) gauge(work context.Context) error {
	alarmed := false
	for {
		backlog, err := s.store.Backlog(work, backlogLimit)
		if work.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("measure the backlog: %w", err)
		}
		s.metrics.Backlog(backlog)
		s.metrics.InDoubt(s.resolver.ages())
		if (backlog.Unbound > 0) != alarmed {
			alarmed = backlog.Unbound > 0
			if alarmed {
				s.log.Warn("rows wait for topics that no relay has bound", slog.Int64("rows", backlog.Unbound), slog.Bool("alert", true))
			}
		}
		if !sleep(work, gaugeEvery) {
			return nil
		}
	}
}

// purge deletes history that is older than the retention time, a little at a time.
func (s *session) purge(work context.Context) error {
	for sleep(work, purgeEvery/2+rand.N(purgeEvery)) {
		for {
			n, err := s.store.Purge(work, s.cfg.Retention, purgeChunk)
			if work.Err() != nil {
				return nil
			}
			if err != nil {
				return fmt.Errorf("purge the ledger: %w", err)
			}
			if n < purgeChunk {
				break
			}
		}
	}
	return nil
}

// watchDead frees the keys of dead rows that an operator has discarded. A requeued one is due, and frees its key itself.
func (s *session) watchDead() error {
	rows := s.intake.deadRows()
	if len(rows) == 0 {
		return nil
	}
	there, err := s.store.StillThere(s.work, rows)
	if err != nil {
		return fmt.Errorf("look for dead rows that block a key: %w", err)
	}
	still := make(map[int64]bool, len(there))
	for _, row := range there {
		still[row] = true
	}
	s.intake.discarded(func(row int64) bool { return still[row] })
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
	}
}
