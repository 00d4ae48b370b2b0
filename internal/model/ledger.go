package model

// PostgreSQL: what becomes of a request, whoever still waits for it. Each is one transaction; that it is atomic is tested in
// package postgres, on a real server.

// postgres executes what a relay has asked about a row.
func (g *generator) postgres(i, r int) {
	if !g.s.Relays[i].Phase.live() { // between two sessions nobody asks; what was asked may still come late
		return
	}
	switch p := g.s.Relays[i].Rows[r]; p.Stage {
	case DecideAsked:
		switch first := g.first(i, r); {
		case first == DecideAsked || first == Checked: // is written before, in the same transaction
		case g.has(LeaseLocked):
			g.look(i, r)
		default:
			g.decide(i, r)
		}
	case Checked:
		n := g.s
		n.decide(i, r, int(p.Slot))
		g.emit(&n, decided, i, r, int(p.Slot))
	case SettleAsked, StrikeAsked:
		g.close(i, r, p.Stage == SettleAsked)
	case BuryAsked, PutOffAsked:
		g.fail(i, r, p.Stage == BuryAsked)
	}
}

// decide writes the entry if the lease stands and the row is there.
func (g *generator) decide(i, r int) {
	n, k := g.s, int(g.s.Relays[i].Rows[r].Slot)
	switch {
	case !g.under(i, LeaseChecked):
		n.end(i)
		g.emit(&n, decideRefused, i, r, k)
	case !g.mayDecide(r):
		n.set(i, r, None)
		g.emit(&n, decideRowGone, i, r, k)
	default:
		n.decide(i, r, k)
		g.emit(&n, decided, i, r, k)
	}
}

// look is a decision that reads the lease first and writes later.
func (g *generator) look(i, r int) {
	if !g.s.Leases[i].Stands || !g.mayDecide(r) {
		g.decide(i, r)
		return
	}
	n := g.s
	n.set(i, r, Checked)
	g.emit(&n, leaseLooked, i, r, int(n.Relays[i].Rows[r].Slot))
}

func (s *State) decide(i, r, k int) {
	s.Attempts[r][k].Entry, s.Attempts[r][k].By = Open, uint8(i+1)
	s.set(i, r, Decided)
}

// under reports whether PostgreSQL lets a session write: its lease stands, or is not looked at.
func (g *generator) under(i int, rule Rule) bool { return g.s.Leases[i].Stands || g.has(rule) }

func (g *generator) mayDecide(r int) bool { return g.s.Rows[r].exists() || g.has(RowExists) }

// close settles or strikes an entry.
func (g *generator) close(i, r int, settle bool) {
	n, k := g.s, int(g.s.Relays[i].Rows[r].Slot)
	g.closeEntry(&n, r, k, settle)
	if settle {
		n.set(i, r, KnownGone)
		g.emit(&n, settled, i, r, k)
		return
	}
	n.set(i, r, None)
	g.emit(&n, struck, i, r, k)
}

// closeEntry changes an entry once; whoever comes second changes nothing. The row is deleted with it.
func (g *generator) closeEntry(n *State, r, k int, settle bool) {
	a := &n.Attempts[r][k]
	if a.Entry == Open || g.has(ChangeOnce) && a.Entry != NoEntry {
		if settle {
			a.Entry = Settled
			if n.Rows[r].exists() {
				n.Rows[r].Table = Gone
			}
		} else {
			a.Entry = Struck
		}
		return
	}
	if settle && a.Entry == Struck {
		n.Broken = true
	}
}

// fail buries a row or puts it off, under the lease. From then on it holds its key.
func (g *generator) fail(i, r int, bury bool) {
	n := g.s
	rule, action := PutOffUnderLease, putOff
	if bury {
		rule, action = BuryUnderLease, buried
	}
	if !g.under(i, rule) {
		n.end(i)
		g.emit(&n, writeRefused, i, r, 0)
		return
	}
	n.fail(r, bury)
	n.Relays[i].Rows[r].Holds = true
	n.set(i, r, None)
	g.emit(&n, action, i, r, 0)
}

func (s *State) fail(r int, bury bool) {
	switch {
	case !s.Rows[r].exists():
	case bury:
		s.Rows[r].Table = Dead
	default:
		s.Rows[r].Table = PutOff
	}
}

// lateRequests are executed, or lost, at any time. What needs a lease is there only while that lease stands: tidy sees to it.
func (g *generator) lateRequests() {
	for at, q := range g.s.Late {
		if q.Kind == NoRequest {
			continue
		}
		n := g.s
		n.Late[at] = Request{}
		step := Step{Action: lateLost, Relay: q.Relay, Row: q.Row, Slot: q.Slot, Kind: q.Kind}
		ran := n
		g.emitStep(&n, step)
		if g.runLate(&ran, q) {
			step.Action = lateRun
			g.emitStep(&ran, step)
		}
	}
}

func (g *generator) runLate(n *State, q Request) bool {
	r, k := int(q.Row), int(q.Slot)
	switch q.Kind {
	case LateDecide:
		if !g.mayDecide(r) {
			return false
		}
		n.Attempts[r][k].Entry, n.Attempts[r][k].By = Open, 0
	case LateSettle, LateStrike:
		g.closeEntry(n, r, k, q.Kind == LateSettle)
	case LateBury, LatePutOff:
		if !n.Rows[r].exists() {
			return false
		}
		n.fail(r, q.Kind == LateBury)
	case LateGive:
		n.Leases[q.Relay].Shard = false
	}
	return true
}
