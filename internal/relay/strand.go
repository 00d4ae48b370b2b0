package relay

// Rows that no queue takes at the moment: the queue of an ordered row is on a broker that is away, or paused.

// strand remembers an admitted row, by the broker ("" = any) and topic that do not take it. The rows of its key behind it are
// left behind too, even if the queue is back in the middle of the read.
func (in *intake) strand(row *Row, at pauseKey) {
	in.mu.Lock()
	defer in.mu.Unlock()
	s := in.stranded[at]
	if s == nil {
		s = &stranded{}
		in.stranded[at] = s
	}
	in.skip(row)
	if row.Key() == (Key{}) {
		s.behind = lowest(s.behind, row.ID)
		return
	}
	l := in.lane(row)
	l.behind = lowest(l.behind, row.ID)
	s.lanes = append(s.lanes, l)
}

// strandedAt lists where rows are stranded.
func (in *intake) strandedAt() []pauseKey {
	in.mu.Lock()
	defer in.mu.Unlock()
	keys := make([]pauseKey, 0, len(in.stranded))
	for key := range in.stranded {
		keys = append(keys, key)
	}
	return keys
}

// unstrand has the rows read again that were stranded in one place.
func (in *intake) unstrand(at pauseKey) {
	in.mu.Lock()
	defer in.mu.Unlock()
	s := in.stranded[at]
	if s == nil {
		return
	}
	delete(in.stranded, at)
	in.later = append(in.later, func() {
		in.free(Key{}, s.behind)
		for _, l := range s.lanes {
			in.drained(l)
		}
	})
}
