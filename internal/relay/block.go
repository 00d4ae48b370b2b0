package relay

// Blocked keys. A message in doubt, backing off or dead blocks its key, and only its key.

// doubt blocks the key of an entry in doubt and keeps its row from being read.
func (in *intake) doubt(key Key, row int64) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.inFlight[row] = struct{}{}
	if key != (Key{}) {
		in.block(key).doubts++
	}
}

// doubtItem does the same for an item under way, and takes it out of its lane.
func (in *intake) doubtItem(it *item) {
	in.doubt(it.row.Key(), it.row.ID)
	in.mu.Lock()
	defer in.mu.Unlock()
	in.leaveLane(it)
}

// resolved lifts the doubt about one entry. Its row is gone, or pending again.
func (in *intake) resolved(key Key, row int64, again bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.later = append(in.later, func() {
		delete(in.inFlight, row)
		if again {
			in.revisit(row)
		}
		if b := in.blocks[key]; b != nil {
			b.doubts--
			in.lift(key, b)
		}
	})
}

// hold blocks a key behind a row that backs off or is dead.
func (in *intake) hold(key Key, row int64, dead bool) {
	if key == (Key{}) {
		return
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	b := in.block(key)
	if b.row == 0 || row < b.row {
		b.row, b.dead = row, dead
	}
}

// deadRows returns the rows that block a key from the dead letters.
func (in *intake) deadRows() []int64 {
	in.mu.Lock()
	defer in.mu.Unlock()
	var rows []int64
	for _, b := range in.blocks {
		if b.dead {
			rows = append(rows, b.row)
		}
	}
	return rows
}

// discarded frees the keys of dead rows that are nowhere any more.
func (in *intake) discarded(there func(row int64) bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for key, b := range in.blocks {
		if b.dead && !there(b.row) {
			in.later = append(in.later, func() {
				b.row, b.dead = 0, false
				in.lift(key, b)
			})
		}
	}
}

func (in *intake) block(key Key) *block {
	b := in.blocks[key]
	if b == nil {
		b = &block{}
		in.blocks[key] = b
	}
	return b
}

// lift frees a key that nothing blocks any more. It is called when a read begins, with the lock held.
func (in *intake) lift(key Key, b *block) {
	if b.doubts == 0 && b.row == 0 && in.blocks[key] == b {
		delete(in.blocks, key)
		in.revisit(b.behind)
	}
}
