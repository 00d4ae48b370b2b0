package model

// The hand-over between living relays. The owner takes nothing in any more, waits until its batches have ended, leaves what is
// in doubt to the next owner, forgets it, and clears the bit. The closings that it has under way may arrive at any time.

func (g *generator) handOver(i int) {
	n := g.s
	switch m := &n.Relays[i]; m.Phase {
	case Working:
		m.Phase = Giving
		g.emit(&n, giveBegun, i, 0, 0)
	case Giving:
		if g.mayGive(m) {
			m.Phase = GiveAsked
			n.handDown(i)
			g.emit(&n, giveAsked, i, 0, 0)
		}
	case GiveAsked:
		if !n.Leases[i].Stands {
			n.end(i)
			g.emit(&n, giveRefused, i, 0, 0)
			return
		}
		n.Leases[i].Shard = false
		m.Phase = Idle
		g.emit(&n, shardGiven, i, 0, 0)
	}
}

// mayGive reports whether the batches have ended.
func (g *generator) mayGive(m *Relay) bool {
	for r := range g.Rows {
		switch m.Rows[r].Stage {
		case HalfSent, HalfStored, DecideAsked, Checked, BuryAsked, PutOffAsked:
			if !g.has(GiveDecided) {
				return false
			}
		case Decided, Committing, Confirmed, Refused:
			if !g.has(GiveAnswered) {
				return false
			}
		}
	}
	return true
}

// handDown forgets what is in doubt. Closings that have been asked for are left to themselves.
func (s *State) handDown(i int) {
	for r := range s.Relays[i].Rows {
		p := &s.Relays[i].Rows[r]
		switch kind := p.Stage.asks(); {
		case p.Stage.doubt(), p.Stage == Read:
			p.Stage = None
		case kind == LateSettle || kind == LateStrike:
			s.late(Request{kind, uint8(i), uint8(r), p.Slot})
			p.Stage = None
		}
	}
}
