package model

// The resolver: reading finds at any time; absence is believed after 604, the margin, the barrier, and a reading to the end.

func (g *generator) resolve(i, r int) {
	n := g.s
	p := &n.Relays[i].Rows[r]
	k := int(p.Slot)
	a := &n.Attempts[r][k]
	if !p.Stage.doubt() {
		return
	}
	if p.Stage == InDoubt && g.has(CommitOnce) && a.Commits < 2 {
		a.Commits++
		p.Stage = Committing
		g.emit(&n, committedAgain, i, r, k)
		n = g.s
	}
	if p.Stage != Found && p.Stage != Absent && a.Copy == Readable && !g.has(ReadBack) {
		p.Stage = Found
		g.emit(&n, found, i, r, k)
		n = g.s
	}
	switch p.Stage {
	case InDoubt:
		if a.Expired || g.has(WaitForFence) {
			p.Stage = Fenced
			g.emit(&n, fenced, i, r, k)
		}
	case Fenced:
		margin := !a.Accepted || g.has(AppendMargin)
		barrier := a.Copy != Appended || g.has(Barrier)
		if margin && barrier {
			p.Stage = Proving
			g.emit(&n, proving, i, r, k)
		}
	case Proving:
		if a.Copy != Readable || g.has(ReadBack) {
			p.Stage = Absent
			g.emit(&n, absent, i, r, k)
		}
	}
}
