package simtest

import (
	"time"

	"github.com/google/uuid"

	"github.com/outbox-relay/outbox-relay/internal/relay"
)

// The ledger: decisions, closings, and what else is written under the lease.

// settleAll is a closing for All in the good case: every entry is open. False if somebody has changed one.
func (s *memStore) settleAll(id relay.AttemptID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.attempts[id]
	if a == nil {
		return false
	}
	for _, st := range a.states {
		if st != entryOpen {
			return false
		}
	}
	for i := range a.states {
		s.settle(a, i)
	}
	return true
}

// closeEntries moves the named entries that are open, and reports those that were to be settled and had been struck.
func (s *memStore) closeEntries(c relay.Closing) (closed relay.Closed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.attempts[c.Attempt]
	if a == nil {
		return closed
	}
	named := c.Settled
	if c.All {
		named = nil
		for i := range a.states {
			named = append(named, i)
		}
	}
	for _, i := range named {
		switch a.states[i] {
		case entryOpen:
			s.settle(a, i)
		case entryStruck:
			closed.Broken = append(closed.Broken, i)
		}
	}
	for _, i := range c.Struck {
		if a.states[i] == entryOpen {
			s.strike(a, i)
		}
	}
	return closed
}

func (s *memStore) settle(a *memAttempt, i int) {
	e := a.Entries[i]
	a.states[i] = entrySettled
	s.trace.add("settled: %s as %s", rowWord(e.Row), a.ID.UniqKey(e.Index))
	s.audit.settled(e.Row, a.ID.UniqKey(e.Index))
	delete(s.outbox, e.Row)
}

func (s *memStore) strike(a *memAttempt, i int) {
	e := a.Entries[i]
	a.states[i] = entryStruck
	s.trace.add("struck: %s as %s", rowWord(e.Row), a.ID.UniqKey(e.Index))
	s.audit.struck(e.Row, a.ID.UniqKey(e.Index))
	if s.rules.strikesSettle {
		delete(s.outbox, e.Row)
	}
}

// decide writes an attempt while the lease stands and every row is there.
func (s *memStore) decide(session uuid.UUID, a *relay.Attempt) relay.Decision {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stands(session) && !s.rules.decideWithoutLease {
		s.trace.add("not decided, the lease of %s is gone: attempt %s", session, a.ID)
		return relay.DecisionNoLease
	}
	for _, e := range a.Entries {
		if r := s.outbox[e.Row]; (r == nil || !r.committed) && !s.rules.decideWithoutRows {
			s.trace.add("not decided, %s is gone: attempt %s", rowWord(e.Row), a.ID)
			return relay.DecisionRowGone
		}
	}
	s.attempts[a.ID] = &memAttempt{Attempt: *a, decided: time.Now(), session: session, states: make([]entryState, len(a.Entries))}
	for _, e := range a.Entries {
		s.trace.add("decided by %s: %s as %s", session, rowWord(e.Row), a.ID.UniqKey(e.Index))
		s.audit.decided(e.Row, a.ID.UniqKey(e.Index))
	}
	return relay.DecisionMade
}

func (s *memStore) noteFence(attempts []relay.AttemptID, address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range attempts {
		if a := s.attempts[id]; a != nil {
			a.refused, a.refusedBy = time.Now(), address
		}
	}
}

func (s *memStore) entryStates(attempts []relay.AttemptID) relay.EntryStates {
	s.mu.Lock()
	defer s.mu.Unlock()
	states := relay.EntryStates{}
	for _, id := range attempts {
		if a := s.attempts[id]; a != nil {
			for _, st := range a.states {
				states[id] = append(states[id], map[entryState]relay.EntryState{
					entryOpen: relay.EntryOpen, entrySettled: relay.EntrySettled, entryStruck: relay.EntryStruck,
				}[st])
			}
		}
	}
	return states
}

// purge forgets attempts without open entries.
func (s *memStore) purge(limit int) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, a := range s.attempts {
		open := false
		for _, st := range a.states {
			open = open || st == entryOpen
		}
		if !open && n < limit {
			delete(s.attempts, id)
			n++
		}
	}
	return n
}

func (s *memStore) putOff(session uuid.UUID, failures []relay.Failure) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stands(session) && !s.rules.buryWithoutLease {
		return relay.ErrSessionOver
	}
	for _, f := range failures {
		if r := s.outbox[f.Row]; r != nil && r.committed {
			r.available = time.Now().Add(f.Delay)
			if f.Counted {
				r.Attempts++
			}
			s.trace.add("put off for %s: %s, %s", f.Delay, rowWord(f.Row), f.Reason)
		}
	}
	return nil
}

func (s *memStore) bury(session uuid.UUID, failures []relay.Failure) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stands(session) && !s.rules.buryWithoutLease {
		return relay.ErrSessionOver
	}
	for _, f := range failures {
		r := s.outbox[f.Row]
		if r == nil || !r.committed {
			continue
		}
		delete(s.outbox, f.Row)
		s.dead[f.Row] = r
		s.trace.add("buried: %s, %s", rowWord(f.Row), f.Reason)
		s.audit.buried(f.Row)
	}
	return nil
}
