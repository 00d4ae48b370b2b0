package model

// Leases and shards. Time is not modelled: a lease may be deleted at any moment. Where its relay is alive that is a fault, and
// the relay need not notice for as long as one likes.

func (g *generator) lease(i int) {
	lease, phase := g.s.Leases[i], g.s.Relays[i].Phase
	if lease.Stands {
		n := g.s
		n.leave(i)
		action := leaseExpired
		if phase.live() {
			action = leaseTaken
		}
		g.emit(&n, action, i, 0, 0)
	}
	switch {
	case phase == Off || phase == Ended && !g.waitsForAnswers(i):
		g.open(i)
	case phase.live() && !lease.Stands:
		n := g.s
		n.end(i)
		g.emit(&n, leaseMissed, i, 0, 0)
	}
	g.take(i)
}

// leave deletes a lease, and with it the ownership of the shard.
func (s *State) leave(i int) { s.Leases[i] = Lease{} }

// open inserts a lease, in the place of the last one of the same relay. What the last session knew for certain is asked to
// be written before anything else.
func (g *generator) open(i int) {
	n := g.s
	n.leave(i)
	g.dropGuarded(&n, i)
	for r := range n.Attempts {
		for k := range n.Attempts[r] {
			if a := &n.Attempts[r][k]; int(a.By) == i+1 {
				a.By = 0
			}
		}
	}
	n.Leases[i].Stands = true
	n.Relays[i].Phase = Opened
	g.emit(&n, sessionOpened, i, 0, 0)
}

// take makes the shard this session's own where no lease holds it. Only after that it is loaded.
func (g *generator) take(i int) {
	n := g.s
	m := &n.Relays[i]
	switch m.Phase {
	case Idle:
		if g.has(LoadAfterTake) {
			early := n
			early.Relays[i].Phase = Early
			g.load(&early, i)
			g.emit(&early, shardLoadedEarly, i, 0, 0)
		}
		if g.mayTake(i) && m.empty() {
			n.Leases[i].Shard = true
			m.Phase = Taking
			g.emit(&n, shardTaken, i, 0, 0)
		}
	case Early:
		if g.mayTake(i) {
			n.Leases[i].Shard = true
			m.Phase = Working
			g.emit(&n, shardTaken, i, 0, 0)
		}
	case Taking:
		m.Phase = Working
		g.load(&n, i)
		g.emit(&n, shardLoaded, i, 0, 0)
	}
}

func (g *generator) mayTake(i int) bool {
	if !g.s.Leases[i].Stands {
		return false
	}
	for other := range g.Relays {
		if other != i && g.s.Leases[other].Shard && !g.has(OneOwner) {
			return false
		}
	}
	return true
}

// load puts what is open in doubt, and holds the keys that must wait.
func (g *generator) load(n *State, i int) {
	for r := range g.Rows {
		p := &n.Relays[i].Rows[r]
		*p = Progress{}
		for k := range g.Slots {
			a := n.Attempts[r][k] // where a removed rule has led to two, one of them; which, must not depend on a slot's name
			if g.loads(n, i, a) && (p.Stage == None || a.pack() > n.Attempts[r][p.Slot].pack()) {
				p.Stage, p.Slot = InDoubt, uint8(k)
			}
		}
		if table := n.Rows[r].Table; (table == PutOff || table == Dead) && !g.has(LoadBlockedKeys) {
			p.Holds = true
		}
	}
}

// loads reports whether a new owner finds an attempt among the open ones.
func (g *generator) loads(s *State, i int, a Attempt) bool {
	switch {
	case a.Entry != Open || g.has(LoadAttempts):
		return false
	case a.By == 0:
		return true
	case int(a.By) == i+1:
		return !g.has(LoadOwn)
	default:
		return !s.Leases[a.By-1].Stands || !g.has(LoadLiving)
	}
}

func (m *Relay) empty() bool {
	for _, p := range m.Rows {
		if p.Stage != None {
			return false
		}
	}
	return true
}
