package model

import "slices"

// tidy takes out of a state what can no longer matter, so that states that differ only in that are one.
func (c *Config) tidy(s *State) {
	for i := range c.Relays {
		c.tidyRelay(&s.Relays[i], s)
		if !s.Leases[i].Stands {
			c.dropGuarded(s, i)
		}
	}
	c.tidyLate(s)
	for r := range c.Rows {
		for k := range c.Slots {
			c.tidyAttempt(s, r, k)
		}
	}
}

func (c *Config) tidyRelay(m *Relay, s *State) {
	for r := range c.Rows {
		p := &m.Rows[r]
		if m.Phase == Ended { // a batch that waited for its answers
			switch p.Stage {
			case Confirmed:
				p.Stage = SettleAsked
			case Refused:
				p.Stage = StrikeAsked
			case InDoubt:
				p.Stage = None
			}
		}
		if m.Phase < Working && p.Stage == KnownGone {
			p.Stage = None
		}
		p.Saw = m.Phase == Working && (p.Saw || s.Rows[r].exists())
		p.Holds = p.Holds && m.Phase >= Early
		if !p.Stage.attempt() {
			p.Slot = 0
		}
		under := p.Stage >= Read && p.Stage <= Decided
		p.Cut = under && (p.Cut || !c.follows(m, r))
	}
	if m.Phase == Opened && m.empty() {
		m.Phase = Idle
	}
}

// dropGuarded takes out the late requests that a lease which is gone would let through, unless that rule is removed.
func (c *Config) dropGuarded(s *State, i int) {
	for at, q := range s.Late {
		if int(q.Relay) != i {
			continue
		}
		switch q.Kind {
		case LateDecide:
			if c.has(LeaseChecked) {
				continue
			}
		case LateBury:
			if c.has(BuryUnderLease) {
				continue
			}
		case LatePutOff:
			if c.has(PutOffUnderLease) {
				continue
			}
		case LateSettle, LateStrike:
			continue
		}
		s.Late[at] = Request{}
	}
}

// tidyLate takes out the late closings that would change nothing, and sorts the rest.
func (c *Config) tidyLate(s *State) {
	if s.Late == ([maxLate]Request{}) {
		return
	}
	for at, q := range s.Late {
		if q.Kind != LateSettle && q.Kind != LateStrike {
			continue
		}
		entry := s.Attempts[q.Row][q.Slot].Entry
		undecided := entry == NoEntry && !slices.ContainsFunc(s.Late[:], func(o Request) bool {
			return o.Kind == LateDecide && o.Row == q.Row && o.Slot == q.Slot
		})
		again := entry == Settled && q.Kind == LateSettle || entry == Struck && q.Kind == LateStrike
		idle := entry == Settled && !c.has(ChangeOnce)
		if undecided || again || idle {
			s.Late[at] = Request{}
		}
	}
	slices.SortFunc(s.Late[:], func(a, b Request) int { return int(b.pack()) - int(a.pack()) })
}

func (c *Config) tidyAttempt(s *State, r, k int) {
	a := &s.Attempts[r][k]
	if *a == (Attempt{}) {
		return
	}
	referred := s.refersTo(r, k)
	if a.Entry != Open {
		a.By = 0
	}
	if a.Commits > 0 && a.Expired && !c.has(Fence) && !referred {
		a.Commits = 0 // they would be refused, and nobody listens
	}
	waits := a.Commits > 0 || a.Accepted || a.Check || a.Entry == Open
	asked := a.Entry == Settled && c.has(CheckerNeverCommits)
	if !referred && !waits && !asked {
		*a = Attempt{}
	}
}
