package simtest

import (
	"fmt"
	"math/bits"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/outbox-relay/outbox-relay/internal/relay"
)

// The lease table, the take-over of shards, and topics.

func (s *memStore) openSession(session relay.Session, lease time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, l := range s.leases {
		if l.instance == session.Instance || l.expires.Before(time.Now()) {
			delete(s.leases, id)
			s.trace.add("session %s is declared dead by the new %s", id, session.ID)
		}
	}
	s.leases[session.ID] = &memLease{instance: session.Instance, expires: time.Now().Add(lease)}
}

func (s *memStore) renewSession(id uuid.UUID, lease time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	own := s.leases[id]
	if own != nil {
		own.expires = time.Now().Add(lease) // also one that has expired but stands
	}
	for other, l := range s.leases {
		if other != id && l.expires.Before(time.Now()) {
			delete(s.leases, other)
			s.trace.add("session %s has expired, finds %s", other, id)
		}
	}
	if own == nil {
		return relay.ErrSessionOver
	}
	return nil
}

func (s *memStore) standing(id uuid.UUID) (relay.Standing, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	own := s.leases[id]
	if own == nil {
		return relay.Standing{}, relay.ErrSessionOver
	}
	st := relay.Standing{Owned: own.shards, Free: ^uint64(0)}
	for other, l := range s.leases {
		st.Free &^= l.shards
		switch {
		case other == id:
		case l.expires.After(time.Now()):
			st.Others = append(st.Others, bits.OnesCount64(l.shards))
		default:
			st.Expired = true
		}
	}
	if s.rules.shardsTwice {
		st.Free, st.Others = ^own.shards, nil
	}
	return st, nil
}

func (s *memStore) giveShards(id uuid.UUID, shards uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	own := s.leases[id]
	if own == nil {
		return relay.ErrSessionOver
	}
	own.shards &^= shards
	s.trace.add("session %s gives %d shards up", id, bits.OnesCount64(shards))
	return nil
}

// uneven says what is wrong with how the living relays have divided the shards; "" if nothing is.
func (s *memStore) uneven() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all uint64
	var shares []int
	for _, l := range s.leases {
		if l.expires.After(time.Now()) {
			all |= l.shards
			shares = append(shares, bits.OnesCount64(l.shards))
		}
	}
	if len(shares) == 0 || ^all != 0 || slices.Max(shares)-slices.Min(shares) > 1 {
		return fmt.Sprintf("shards are divided as %v", shares)
	}
	return ""
}

func (s *memStore) takeShards(id uuid.UUID, want uint64) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	own := s.leases[id]
	if own == nil {
		return 0, relay.ErrSessionOver
	}
	for other, l := range s.leases {
		if other != id && !s.rules.shardsTwice {
			want &^= l.shards // a lease that has expired holds its shards until it is deleted
		}
	}
	own.shards |= want
	s.trace.add("session %s owns shards %016x", id, own.shards)
	return own.shards, nil
}

func (s *memStore) closeSession(id uuid.UUID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.leases, id)
	s.trace.add("session %s is closed", id)
}

// stands reports whether a session's lease is there and has not expired. It is called with the lock held.
func (s *memStore) stands(id uuid.UUID) bool {
	l := s.leases[id]
	return l != nil && l.expires.After(time.Now())
}

func (s *memStore) openAttempts(shards uint64) []relay.OpenAttempt {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rules.noOpenAttempts {
		return nil
	}
	var open []relay.OpenAttempt
	for _, a := range s.attempts {
		if _, lives := s.leases[a.session]; lives && s.rules.onlyOfTheDead {
			continue
		}
		o := relay.OpenAttempt{Attempt: a.Attempt, Age: time.Since(a.decided), Refused: time.Since(a.refused), RefusedBy: a.refusedBy}
		o.Entries = nil
		for i, e := range a.Entries {
			if a.states[i] == entryOpen && shards>>e.Shard&1 == 1 {
				o.Entries, o.Positions = append(o.Entries, e), append(o.Positions, i)
			}
		}
		if len(o.Entries) > 0 {
			open = append(open, o)
		}
	}
	return open
}

func (s *memStore) blockedKeys(shards uint64) []relay.BlockedKey {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rules.noBlockedKeys {
		return nil
	}
	var keys []relay.BlockedKey
	note := func(r *memRow, dead bool) {
		if r.OrderingKey != "" && shards>>r.Shard&1 == 1 {
			keys = append(keys, relay.BlockedKey{Key: r.Key(), Shard: r.Shard, Row: r.ID, Dead: dead})
		}
	}
	for _, r := range s.outbox {
		if r.committed && !r.available.IsZero() {
			note(r, false)
		}
	}
	for _, r := range s.dead {
		if s.blocks(r.Topic) {
			note(r, true)
		}
	}
	return keys
}

// blocks reports whether a dead row of the topic blocks its key. It is called with the lock held.
func (s *memStore) blocks(topic string) bool { return s.topics[topic].OnDead != relay.OnDeadSkip }

func (s *memStore) stillThere(rows []int64) []int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	var there []int64
	for _, id := range rows {
		if r := s.outbox[id]; s.dead[id] != nil || r != nil && r.committed {
			there = append(there, id)
		}
	}
	return there
}

func (s *memStore) bindTopic(want relay.Topic) relay.Topic {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, bound := s.topics[want.Name]; !bound {
		s.topics[want.Name] = want
	}
	return s.topics[want.Name]
}
