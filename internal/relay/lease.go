package relay

import (
	"context"
	"fmt"
	"log/slog"
	"math/bits"
	"time"
)

// The lease: renewed, and shards taken. Ownership is in Postgres and never inferred from who seems alive.

const allShards = ^uint64(0)

// keepLease renews the lease until the session is over.
func (s *session) keepLease(work context.Context) error {
	tick := time.NewTicker(s.cfg.Renew)
	defer tick.Stop()
	for {
		select {
		case <-work.Done():
			return nil
		case <-tick.C:
			if err := s.renew(); err != nil {
				return err
			}
			if err := s.watchDead(); err != nil {
				return err
			}
		}
	}
}

// renew extends the lease and takes the shards that nobody holds.
func (s *session) renew() error {
	ctx, cancel := context.WithTimeout(s.work, s.cfg.Lease-s.cfg.Renew)
	defer cancel()
	free, err := s.store.RenewSession(ctx, s.id, s.cfg.Lease)
	if err != nil {
		return fmt.Errorf("renew the lease: %w", err)
	}
	s.renewed.Store(time.Now().UnixNano())
	if free == 0 {
		return nil
	}
	return s.takeShards(ctx, free)
}

// takeShards makes free shards this session's own. Only once that is committed are their open attempts and blocked keys
// loaded, each in a new statement, and only after that are their rows read: a reading from before would miss what the last
// owner decided while this one waited for the lock.
func (s *session) takeShards(ctx context.Context, free uint64) error {
	before := s.intake.owned()
	owned, err := s.store.TakeShards(ctx, s.id, free)
	if err != nil {
		return fmt.Errorf("take shards: %w", err)
	}
	taken := owned &^ before
	if taken == 0 {
		return nil
	}
	attempts, err := s.store.OpenAttempts(ctx, s.id, taken)
	if err != nil {
		return fmt.Errorf("load open attempts: %w", err)
	}
	blocked, err := s.store.BlockedKeys(ctx, taken)
	if err != nil {
		return fmt.Errorf("load blocked keys: %w", err)
	}
	for _, b := range blocked {
		s.intake.hold(b.Key, b.Row, b.Dead)
	}
	doubts := 0
	for i := range attempts {
		doubts += s.inherit(&attempts[i])
	}
	s.intake.own(taken)
	s.current.Store(s.state())
	s.log.Info("shards taken", slog.Int("shards", bits.OnesCount64(owned)), slog.Int("in_doubt", doubts),
		slog.Int("blocked_keys", len(blocked)))
	return nil
}

// inherit takes over the open entries of a dead session's attempt.
func (s *session) inherit(a *OpenAttempt) int {
	for i, e := range a.Entries {
		t := a.Targets[e.Target]
		key := Key{}
		if e.OrderingKey != "" {
			key = Key{Topic: t.Topic, Ordering: e.OrderingKey}
		}
		s.intake.doubt(key, e.Row)
		s.resolver.add(&doubt{
			attempt: a.ID, position: a.Positions[i], row: e.Row, key: key,
			broker: a.Broker, address: a.Address, born: a.Born, window: a.Window, since: time.Now(),
			queue: TopicQueue{Topic: t.Topic, Queue: t.Queue}, readFrom: t.ReadFrom, reason: ReasonSessionOver,
			half: StoredHalf{Topic: t.Topic, UniqKey: a.ID.UniqKey(e.Index), HalfOffset: e.HalfOffset, LogOffset: e.LogOffset},
		})
	}
	return len(a.Entries)
}
