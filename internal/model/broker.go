package model

// The broker: halves are invisible; a commit is looked at (is the window over?), then written, then dispatched. Nothing
// compares it with earlier commits, and a rollback changes nothing of what can follow, so there are no rollbacks here except
// as the probe of the resolver.

func (g *generator) broker() {
	for r := range g.Rows {
		for k := range g.Slots {
			a := g.s.Attempts[r][k]
			if a == (Attempt{}) && !g.s.refersTo(r, k) {
				continue
			}
			if !a.Expired {
				n := g.s
				n.Attempts[r][k].Expired = true
				g.emit(&n, windowOver, 0, r, k)
			}
			if a.Copy == Appended {
				n := g.s
				n.Attempts[r][k].Copy = Readable
				g.emit(&n, dispatch, 0, r, k)
			}
			if a.Commits > 0 {
				g.commitArrives(r, k)
			}
			if a.Accepted {
				g.commitIsWritten(r, k)
			}
		}
	}
}

// commitArrives is what can become of a commit on the wire.
func (g *generator) commitArrives(r, k int) {
	n := g.s
	a := &n.Attempts[r][k]
	a.Commits--
	g.emit(&n, commitLost, 0, r, k)
	if a.Expired && !g.has(Fence) {
		g.answered(n, answer{commitRefused, commitRefusedLost, commitRefusedAlone}, r, k, Refused)
		return
	}
	for i := range g.Relays {
		if n := n; g.waits(i, r, k) {
			n.set(i, r, Refused)
			g.emit(&n, commitBusy, i, r, k)
		}
	}
	if !a.Accepted {
		a.Accepted = true
		g.emit(&n, commitAccepted, 0, r, k)
	}
}

// commitIsWritten ends what was accepted.
func (g *generator) commitIsWritten(r, k int) {
	n := g.s
	n.Attempts[r][k].Accepted = false
	lost := n
	g.emit(&lost, acceptedLost, 0, r, k)
	n.write(r, k)
	g.answered(n, answer{commitWritten, commitWrittenLost, commitWrittenAlone}, r, k, Confirmed)
}

// An answer of the broker is heard, or lost on the way, or nobody waits for it any more.
type answer struct{ heard, lost, alone Action }

// answered emits a broker's answer to a commit.
func (g *generator) answered(n State, a answer, r, k int, stage Stage) {
	alone := true
	for i := range g.Relays {
		if n := n; g.waits(i, r, k) {
			alone = false
			n.set(i, r, stage)
			g.emit(&n, a.heard, i, r, k)
		}
	}
	if alone {
		g.emit(&n, a.alone, 0, r, k)
	} else {
		g.emit(&n, a.lost, 0, r, k)
	}
}

func (g *generator) waits(i, r, k int) bool {
	p := g.s.Relays[i].Rows[r]
	return p.Stage == Committing && int(p.Slot) == k
}

// write appends a message. Consumers see it once it is dispatched; nothing keeps it from being, so it counts at once.
func (s *State) write(r, k int) {
	s.Attempts[r][k].Copy = max(s.Attempts[r][k].Copy, Appended)
	s.Rows[r].Copies = min(s.Rows[r].Copies+1, 2)
}
