package relay

import (
	"slices"
	"sync"
)

// intake is the session's memory of which rows are under way and which keys must wait. It is built from the tables when a
// session starts and is lost with it.
//
// The reader alone takes rows in; everybody else reports what became of them. A read sees the table as of its snapshot, so
// whatever would make a row or a key readable again (a row is gone, a key is freed) waits in `later` until the next read
// begins: a row of an older snapshot can then never slip past one that it does not show. For the same reason only the reader
// moves the cursor.
type intake struct {
	mu       sync.Mutex
	owned    uint64            // shards that are this session's, as of now
	loaded   uint64            // shards whose open attempts and blocked keys are known here
	cursor   int64             // every row with an id up to it is decided, and taken in or left behind for a reason
	inFlight map[int64]int16   // ids that are not to be read again, and their shards
	lanes    map[Key]*lane     // keys with rows under way
	blocks   map[Key]*block    // keys that must wait
	skipped  map[int64]skipped // ids above the cursor that were left behind: reading them again would keep others out
	absent   map[string]int64  // topics that reads leave out, and the cursor from which they have to be made up for
	stranded map[pauseKey]*stranded
	later    []func()
}

// skipped is the key and the shard of a row that was left behind.
type skipped struct {
	key   Key
	shard int16
}

// stranded is what was left behind because its queue could not take it.
type stranded struct {
	behind int64 // lowest unordered id, 0 = none
	lanes  []*lane
}

func newIntake() *intake {
	return &intake{
		inFlight: make(map[int64]int16), lanes: make(map[Key]*lane), blocks: make(map[Key]*block),
		skipped: make(map[int64]skipped), absent: make(map[string]int64), stranded: make(map[pauseKey]*stranded),
	}
}

// begin applies what has waited for a new snapshot and returns what the next read starts from. all are the topics bound, of
// which the read takes in those in reach; the others are made up for when they are back.
func (in *intake) begin(all map[string]Topic, reach func(topic string) bool) (shards uint64, after int64, exclude []int64) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, apply := range in.later {
		apply()
	}
	clear(in.later)
	in.later = in.later[:0]
	for topic := range all {
		from, was := in.absent[topic]
		switch {
		case !reach(topic) && !was:
			in.absent[topic] = in.cursor
		case reach(topic) && was:
			delete(in.absent, topic)
			in.cursor = min(in.cursor, from)
		}
	}
	for topic, from := range in.absent {
		in.absent[topic] = min(from, in.cursor)
	}
	return in.owned & in.loaded, in.cursor, in.excluded(in.cursor)
}

// excluded returns the ids above after that a read is not to return, in order, and forgets the skipped ones below it.
func (in *intake) excluded(after int64) []int64 {
	exclude := make([]int64, 0, len(in.inFlight)+len(in.skipped))
	for id := range in.inFlight {
		if id > after {
			exclude = append(exclude, id)
		}
	}
	for id := range in.skipped {
		if id > after {
			exclude = append(exclude, id)
		} else {
			delete(in.skipped, id)
		}
	}
	slices.Sort(exclude)
	return exclude
}

// under returns all ids that are under way.
func (in *intake) under() []int64 {
	in.mu.Lock()
	defer in.mu.Unlock()
	ids := make([]int64, 0, len(in.inFlight))
	for id := range in.inFlight {
		ids = append(ids, id)
	}
	return ids
}

// position returns the cursor: what a read may start behind.
func (in *intake) position() int64 {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.cursor
}

// rewind makes the next read start behind an id again, at the latest: rows that nothing here remembers are found again.
func (in *intake) rewind(to int64) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.later = append(in.later, func() { in.cursor = min(in.cursor, to) })
}

// advance moves the cursor after a read that saw every row up to seen, where ids up to decided were decided before it.
func (in *intake) advance(decided, seen int64) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.cursor = max(in.cursor, min(decided, seen))
}

// admit decides whether a fresh row may be taken now. If not, the cursor may pass it all the same: it is remembered where it
// was left behind.
func (in *intake) admit(row *Row) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	if _, under := in.inFlight[row.ID]; under {
		return false
	}
	key := row.Key()
	if key == (Key{}) {
		return true
	}
	if b := in.blocks[key]; b != nil && b.holds(row.ID) {
		b.behind = lowest(b.behind, row.ID)
		in.skip(row)
		return false
	}
	if l := in.lanes[key]; l != nil && !l.takes() {
		l.behind = lowest(l.behind, row.ID)
		in.skip(row)
		return false
	}
	return true
}

// admitDue decides the same for a row that was put off: of a blocked key only the first row that blocks it. It goes on blocking
// the key until it has left the outbox.
func (in *intake) admitDue(row *Row) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	if _, under := in.inFlight[row.ID]; under {
		return false
	}
	key := row.Key()
	if key == (Key{}) {
		return true
	}
	if l := in.lanes[key]; l != nil && (l.broken || l.behind != 0) {
		return false
	}
	b := in.blocks[key]
	return b == nil || b.first() == row.ID && b.doubts == 0
}

// take marks an admitted row as under way, at the end of its key's lane.
func (in *intake) take(it *item) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.inFlight[it.row.ID] = it.row.Shard
	if it.row.Key() != (Key{}) {
		in.lane(&it.row).append(it)
	}
}

// skip remembers a row that is left behind. It is called with the lock held.
func (in *intake) skip(row *Row) { in.skipped[row.ID] = skipped{row.Key(), row.Shard} }

// gone reports items whose rows have left the outbox for good. A key that one of them blocked is free.
func (in *intake) gone(items ...*item) {
	in.leave(items, func(it *item) { in.unhold(it.row.Key(), it.row.ID) })
}

// off reports items whose rows a fresh read no longer finds: they are put off or dead, and hold their keys.
func (in *intake) off(items ...*item) { in.leave(items, func(*item) {}) }

// pending reports items whose rows are to be read again.
func (in *intake) pending(items ...*item) {
	in.leave(items, func(it *item) { in.revisit(it.row.ID) })
}

// leave takes items out of their lanes now, and has them readable again when the next read begins.
func (in *intake) leave(items []*item, then func(*item)) {
	if len(items) == 0 {
		return
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, it := range items {
		in.leaveLane(it)
	}
	items = slices.Clone(items)
	in.later = append(in.later, func() {
		for _, it := range items {
			delete(in.inFlight, it.row.ID)
			then(it)
		}
	})
}

// revisit moves the cursor back so that the next read sees id again. It is called when a read begins, with the lock held.
func (in *intake) revisit(id int64) {
	if id > 0 && in.cursor >= id {
		in.cursor = id - 1
	}
}

// free has the rows of a key read again from the lowest that was left behind. It is called when a read begins, with the lock
// held.
func (in *intake) free(key Key, behind int64) {
	if behind == 0 {
		return
	}
	for id, s := range in.skipped {
		if s.key == key {
			delete(in.skipped, id)
		}
	}
	in.revisit(behind)
}

func lowest(a, b int64) int64 {
	if a == 0 {
		return b
	}
	return min(a, b)
}
