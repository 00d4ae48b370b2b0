package model

// The way of a row through a relay.

func (g *generator) way(i, r int) {
	n := g.s
	p := &n.Relays[i].Rows[r]
	k := int(p.Slot)
	switch p.Stage {
	case None, KnownGone:
		g.read(i, r)
	case Read:
		g.half(i, r)
	case HalfSent:
		g.halfAnswered(i, r)
	case HalfStored:
		g.askDecision(i, r)
	case Decided:
		if g.mayCommit(i, r) {
			n.Attempts[r][k].Commits++
			p.Stage = Committing
			g.emit(&n, commitSent, i, r, k)
		}
		n = g.s
		p.Stage = Refused
		g.emit(&n, commitUnsent, i, r, k)
	case Found:
		g.closes(i, r, SettleAsked)
	case Absent:
		g.closes(i, r, StrikeAsked)
	}
}

// answers is what every session does about commits, also one that owns nothing any more, or is over.
func (g *generator) answers(i, r int) {
	n := g.s
	m := &n.Relays[i]
	k := int(m.Rows[r].Slot)
	switch m.Rows[r].Stage {
	case Committing:
		n.set(i, r, InDoubt)
		if g.has(CarryCertain) && m.Phase == Ended {
			n.set(i, r, StrikeAsked)
		}
		g.emit(&n, commitTimedOut, i, r, k)
	case Confirmed:
		g.closes(i, r, SettleAsked)
	case Refused:
		g.closes(i, r, StrikeAsked)
	}
}

// closes asks for an entry to be closed.
func (g *generator) closes(i, r int, stage Stage) {
	if g.Coarse {
		g.close(i, r, stage == SettleAsked)
		return
	}
	n := g.s
	n.set(i, r, stage)
	g.emit(&n, closeAsked, i, r, int(n.Relays[i].Rows[r].Slot))
}

func (g *generator) waitsForAnswers(i int) bool {
	for _, p := range g.s.Relays[i].Rows {
		if p.Stage == Committing {
			return true
		}
	}
	return false
}

// read takes a row in. A read may be as old as the session's ownership of the shard: whatever it has shown can be taken in
// now. That is more than the relay can do, whose reader takes in only what is of its newest read.
func (g *generator) read(i, r int) {
	n := g.s
	m := &n.Relays[i]
	p := &m.Rows[r]
	table := n.Rows[r].Table
	if m.Phase >= Working && !p.Holds && p.Stage == None && table != Pending {
		p.Stage = KnownGone
		g.emit(&n, rowMissed, i, r, 0)
		n = g.s
	}
	if m.Phase == Working && p.Saw && (!p.Holds || table == PutOff) && g.follows(m, r) {
		p.Stage = Read
		g.emit(&n, rowRead, i, r, 0)
	}
}

// follows reports whether the earlier row of the key is gone or goes ahead. A row that stops following gives up.
func (c *Config) follows(m *Relay, r int) bool {
	if r == 0 || c.has(UnbrokenRun) {
		return true
	}
	first := m.Rows[r-1].Stage
	return first.ahead() || first.doubt() && c.has(DoubtBlocksKey)
}

// half sends a half under a fresh key, or drops the row.
func (g *generator) half(i, r int) {
	n := g.s
	p := &n.Relays[i].Rows[r]
	if g.drops(i, r) {
		return
	}
	for k := range g.Slots {
		if n.Attempts[r][k] != (Attempt{}) || n.refersTo(r, k) {
			continue
		}
		p.Slot, p.Stage = uint8(k), HalfSent
		if g.Coarse {
			p.Stage = HalfStored
		}
		g.emit(&n, halfSent, i, r, k)
		return
	}
}

// drops gives a row up that lost its place.
func (g *generator) drops(i, r int) bool {
	if !g.s.Relays[i].Rows[r].Cut {
		return false
	}
	n := g.s
	n.set(i, r, None)
	g.emit(&n, rowDropped, i, r, 0)
	return true
}

// halfAnswered is what the broker may say to a half. Only the first pending row of its key may be put off or die.
func (g *generator) halfAnswered(i, r int) {
	n := g.s
	p := &n.Relays[i].Rows[r]
	k := int(p.Slot)
	if !g.Coarse {
		p.Stage = HalfStored
		g.emit(&n, halfStored, i, r, k)
	}
	n = g.s
	p.Stage = None
	g.emit(&n, halfUnknown, i, r, k)
	if !g.Fails || r > 0 && n.Relays[i].Rows[r-1].Stage != KnownGone {
		return
	}
	for _, ask := range []struct {
		stage  Stage
		action Action
	}{{BuryAsked, halfDied}, {PutOffAsked, halfPutOff}} {
		n = g.s
		p.Stage = ask.stage
		g.emit(&n, ask.action, i, r, k)
	}
}

// askDecision lets a batch pass to the ledger: of a key only the unbroken run from its first pending row.
func (g *generator) askDecision(i, r int) {
	if g.Coarse {
		g.halfAnswered(i, r) // it may not have been SEND_OK
	}
	if g.drops(i, r) {
		return
	}
	if g.first(i, r) <= HalfStored && !g.has(UnbrokenRun) {
		return // waits for it: they are decided in one write, or one after the other
	}
	if g.Coarse {
		g.decide(i, r)
		return
	}
	n := g.s
	n.set(i, r, DecideAsked)
	g.emit(&n, decideAsked, i, r, int(n.Relays[i].Rows[r].Slot))
}

// first returns the stage of the earlier row of the key.
func (g *generator) first(i, r int) Stage {
	if r == 0 {
		return KnownGone
	}
	return g.s.Relays[i].Rows[r-1].Stage
}

// mayCommit reports whether it is the row's turn: commits of a key wait for the answer to the one before.
func (g *generator) mayCommit(i, r int) bool {
	switch first := g.first(i, r); {
	case g.s.Relays[i].Rows[r].Cut:
		return false
	case first == Confirmed, first == SettleAsked, first == KnownGone:
		return true
	case first == Committing:
		return g.has(CommitsInTurn)
	case first.doubt():
		return g.has(DoubtBlocksKey)
	default:
		return first <= HalfStored && g.has(UnbrokenRun)
	}
}
