package model

// The broker asks any producer of the group about a half that it does not know to be finished. UNKNOWN and ROLLBACK change
// nothing: a commit after a rollback is accepted. COMMIT does, and is never refused as late. So there is something to model
// only where the rule is removed: the checker then answers from the ledger, COMMIT for what is open or settled.
func (g *generator) checker() {
	if !g.has(CheckerNeverCommits) {
		return
	}
	for r := range g.Rows {
		for k := range g.Slots {
			a := g.s.Attempts[r][k]
			if (a.Entry == Open || a.Entry == Settled) && !a.Check {
				n := g.s
				n.Attempts[r][k].Check = true
				g.emit(&n, checkCommits, 0, r, k)
			}
			if a.Check {
				n := g.s
				n.Attempts[r][k].Check = false
				n.write(r, k)
				g.emit(&n, checkWritten, 0, r, k)
			}
		}
	}
}
