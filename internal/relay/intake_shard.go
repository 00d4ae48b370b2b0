package relay

// Which shards the intake knows about. Ownership counts at once; what is known of a shard is added and removed in the order
// in which it was said, when a read begins.

// own adds shards of which the blocked keys and the entries in doubt have been loaded.
func (in *intake) own(shards uint64, blocked []BlockedKey, doubts []*doubt) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.owned |= shards
	in.later = append(in.later, func() {
		for _, b := range blocked {
			in.addHold(b)
		}
		for _, o := range doubts {
			in.addDoubt(o.key, o.row, o.shard)
		}
		in.loaded |= shards
		in.cursor = 0
	})
}

// disown has later reads leave out shards. What is under way goes on.
func (in *intake) disown(shards uint64) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.owned &^= shards
}

// forget removes what is known of shards that were disowned and of which nothing is under way any more. Should they come back,
// it is loaded anew: meanwhile another session has changed it.
func (in *intake) forget(shards uint64) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.later = append(in.later, func() { in.drop(shards) })
}

// drop is called when a read begins, with the lock held.
func (in *intake) drop(shards uint64) {
	gone := func(shard int16) bool { return shards>>shard&1 == 1 }
	in.loaded &^= shards
	for id, shard := range in.inFlight {
		if gone(shard) {
			delete(in.inFlight, id)
		}
	}
	for id, s := range in.skipped {
		if gone(s.shard) {
			delete(in.skipped, id)
		}
	}
	for key, l := range in.lanes {
		if gone(l.shard) {
			delete(in.lanes, key)
		}
	}
	for key, b := range in.blocks {
		if gone(b.shard) {
			delete(in.blocks, key)
		}
	}
}
