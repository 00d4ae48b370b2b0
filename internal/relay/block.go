package relay

// Blocked keys. A message in doubt, backing off or dead blocks its key, and only its key.

// A block says why a key must wait. It is lifted when nothing is left of it.
type block struct {
	shard  int16
	doubts int            // entries in doubt
	rows   map[int64]bool // the rows that back off (false) or are dead (true), also while they are under way again
	behind int64          // lowest id of the key that was left behind, 0 = none
}

// first returns the lowest row that backs off or is dead, 0 where there is none. There can be several: one that backs off,
// and before it a dead one that was requeued.
func (b *block) first() (first int64) {
	for row := range b.rows {
		first = lowest(first, row)
	}
	return first
}

// holds reports whether a pending row of the key must wait. One before the first that backs off or is dead need not, and
// that row itself need not when it is fresh again.
func (b *block) holds(id int64) bool { return b.doubts > 0 || id > b.first() }

// doubtItem blocks the key of an item whose outcome is in doubt, keeps its row from being read, and takes it out of its
// lane.
func (in *intake) doubtItem(it *item) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.addDoubt(it.row.Key(), it.row.ID, it.row.Shard)
	in.leaveLane(it)
}

// addDoubt is called with the lock held.
func (in *intake) addDoubt(key Key, row int64, shard int16) {
	in.inFlight[row] = shard
	if key != (Key{}) {
		in.block(key, shard).doubts++
	}
}

// resolved lifts the doubt about one entry. Its row is gone, or pending again.
func (in *intake) resolved(key Key, row int64, again bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.later = append(in.later, func() {
		delete(in.inFlight, row)
		if b := in.blocks[key]; b != nil {
			b.doubts--
			in.lift(key, b)
		}
		if again {
			in.revisit(row)
		} else {
			in.unhold(key, row)
		}
	})
}

// hold blocks a row's key behind it, because it backs off or is dead.
func (in *intake) hold(row *Row, dead bool) {
	if row.Key() == (Key{}) {
		return
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	in.addHold(BlockedKey{Key: row.Key(), Shard: row.Shard, Row: row.ID, Dead: dead})
}

// addHold is called with the lock held.
func (in *intake) addHold(b BlockedKey) { in.block(b.Key, b.Shard).rows[b.Row] = b.Dead }

// unhold frees a key from a row that has left the outbox. It is called when a read begins, with the lock held.
func (in *intake) unhold(key Key, row int64) {
	b := in.blocks[key]
	if b == nil {
		return
	}
	if _, held := b.rows[row]; held {
		delete(b.rows, row)
		in.lift(key, b)
	}
}

// holding returns the rows that block a key because they back off or are dead.
func (in *intake) holding() map[int64]Key {
	in.mu.Lock()
	defer in.mu.Unlock()
	rows := make(map[int64]Key)
	for key, b := range in.blocks {
		for row := range b.rows {
			rows[row] = key
		}
	}
	return rows
}

// vanished frees the key of a row that is neither in the outbox nor dead any more: an operator has removed it.
func (in *intake) vanished(key Key, row int64) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.later = append(in.later, func() { in.unhold(key, row) })
}

func (in *intake) block(key Key, shard int16) *block {
	b := in.blocks[key]
	if b == nil {
		b = &block{shard: shard, rows: make(map[int64]bool)}
		in.blocks[key] = b
	}
	return b
}

// lift frees a key that nothing blocks any more. It is called when a read begins, with the lock held.
func (in *intake) lift(key Key, b *block) {
	if b.doubts == 0 && len(b.rows) == 0 && in.blocks[key] == b {
		delete(in.blocks, key)
		in.free(key, b.behind)
	}
}
