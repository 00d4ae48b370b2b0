package relay

// notDue returns the ids that a look for due rows leaves out: those under way, and those that wait behind another row which
// blocks their key. None of the latter could be taken, and many letters of one key that were requeued would fill every look.
func (in *intake) notDue() []int64 {
	ids := in.under()
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, b := range in.blocks {
		if b.doubts == 0 && len(b.rows) == 1 {
			continue
		}
		first := b.first()
		for id := range b.rows {
			if id != first || b.doubts > 0 {
				ids = append(ids, id)
			}
		}
	}
	return ids
}
