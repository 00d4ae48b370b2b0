package relay

import (
	"context"
	"fmt"
	"log/slog"
	"math/bits"
	"time"
)

// Taking shards: ownership is in Postgres and never inferred from who seems alive. The lease is renewed meanwhile, however
// long it takes to load what the last owner left.

// takeoverPatience bounds loading the ledger of free shards.
const takeoverPatience = time.Minute

// takeShards makes free shards this session's own. Only once that is committed are their open attempts and blocked keys
// loaded, each in a new statement, and only after that are their rows read: a reading from before would miss what the last
// owner decided while this one waited for the lock.
func (s *session) takeShards(work context.Context, free uint64) error {
	ctx, cancel := context.WithTimeout(work, takeoverPatience)
	defer cancel()
	owned, err := s.store.TakeShards(ctx, s.id, free)
	if err != nil {
		return fmt.Errorf("take shards: %w", err)
	}
	taken := owned &^ s.loaded
	if taken == 0 {
		return nil
	}
	s.cfg.at(PointTake)
	attempts, err := s.store.OpenAttempts(ctx, taken)
	if err != nil {
		return fmt.Errorf("load open attempts: %w", err)
	}
	blocked, err := s.store.BlockedKeys(ctx, taken)
	if err != nil {
		return fmt.Errorf("load blocked keys: %w", err)
	}
	var doubts []*doubt
	for i := range attempts {
		doubts = append(doubts, s.inherited(&attempts[i])...)
	}
	s.loaded |= taken
	s.intake.own(taken, blocked, doubts)
	for _, o := range doubts {
		s.resolver.add(o)
	}
	s.current.Store(&State{Session: s.id, Shards: s.loaded})
	s.log.InfoContext(ctx, "shards taken", slog.Int("shards", bits.OnesCount64(owned)), slog.Int("in_doubt", len(doubts)),
		slog.Int("blocked_keys", len(blocked)))
	return nil
}

// inherited makes doubts of the open entries of an attempt that somebody left behind.
//
// Its window began before it was decided, so the broker is not asked before a whole window has passed since then: by the
// database's clock, which the relays have in common. The born time is by the broker's clock, and that may have been set.
func (s *session) inherited(a *OpenAttempt) []*doubt {
	now := time.Now()
	over := now.Add(min(a.Window, max(0, a.Window-a.Age)))
	doubts := make([]*doubt, len(a.Entries))
	for i, e := range a.Entries {
		t := a.Targets[e.Target]
		key := Key{}
		if e.OrderingKey != "" {
			key = Key{Topic: t.Topic, Ordering: e.OrderingKey}
		}
		doubts[i] = &doubt{
			attempt: a.ID, position: a.Positions[i], row: e.Row, key: key, shard: e.Shard,
			broker: a.Broker, over: over, since: now, rule: s.absence(a.Way, t.Topic), kept: a.kept(),
			queue: TopicQueue{Topic: t.Topic, Queue: t.Queue}, readFrom: t.ReadFrom,
			half: StoredHalf{Topic: t.Topic, UniqKey: a.ID.UniqKey(e.Index), HalfOffset: e.HalfOffset, LogOffset: e.LogOffset},
		}
		if a.RefusedBy != "" {
			doubts[i].fenced, doubts[i].fencedBy = now.Add(-max(0, a.Refused)), a.RefusedBy
		}
	}
	return doubts
}
