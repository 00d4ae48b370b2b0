package model

// What ends a process or a session at any moment. Whatever it had asked of PostgreSQL may still be executed.

func (g *generator) crash(i int) {
	phase := g.s.Relays[i].Phase
	if phase == Off {
		return
	}
	n := g.s
	if phase.live() {
		g.orphan(&n, i)
	}
	n.Relays[i] = Relay{}
	g.emit(&n, crashed, i, 0, 0)
	if phase.live() {
		n = g.s
		g.orphan(&n, i)
		n.end(i)
		g.emit(&n, answerLost, i, 0, 0)
	}
}

// orphan leaves what a session has asked to itself.
func (g *generator) orphan(n *State, i int) {
	if g.Coarse {
		return
	}
	m := &n.Relays[i]
	for r, p := range m.Rows {
		if kind := p.Stage.asks(); kind != NoRequest {
			n.late(Request{kind, uint8(i), uint8(r), p.Slot})
		}
	}
	if m.Phase == GiveAsked {
		n.late(Request{Kind: LateGive, Relay: uint8(i)})
	}
}

// end ends a session. What it knew for certain is kept, to be said by the next one of the same process: a confirmed message
// is settled, one that was never committed is struck. Answers to commits are still waited for.
func (s *State) end(i int) {
	m := &s.Relays[i]
	m.Phase = Ended
	for r := range m.Rows {
		p := &m.Rows[r]
		p.Saw, p.Holds = false, false
		switch p.Stage {
		case Committing, SettleAsked, StrikeAsked:
		case Confirmed:
			p.Stage = SettleAsked
		case DecideAsked, Checked, Decided, Refused:
			p.Stage = StrikeAsked
		default:
			p.Stage = None
		}
	}
}
