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
// begins: a row of an older snapshot can then never slip past one that it does not show.
type intake struct {
	mu       sync.Mutex
	shards   uint64             // owned, with their open attempts and blocked keys loaded
	cursor   int64              // every row with an id up to it is decided, and taken in or left behind for a reason
	inFlight map[int64]struct{} // ids that are not to be read again
	lanes    map[Key]*lane      // keys with rows under way
	blocks   map[Key]*block     // keys that must wait
	later    []func()

	stranded      int64 // lowest unordered id left behind because no queue took it, 0 = none
	strandedLanes []*lane
}

// A block says why a key must wait. It is lifted when nothing is left of it.
type block struct {
	doubts int   // entries in doubt
	row    int64 // the row that backs off or is dead, 0 = none
	dead   bool
	behind int64 // lowest id of the key that was left behind, 0 = none
}

func newIntake() *intake {
	return &intake{
		inFlight: make(map[int64]struct{}), lanes: make(map[Key]*lane), blocks: make(map[Key]*block),
	}
}

// own adds shards whose open attempts and blocked keys have been loaded.
func (in *intake) own(shards uint64) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.shards |= shards
	in.later = append(in.later, func() { in.cursor = 0 })
}

// begin applies what has waited for a new snapshot and returns what the next read starts from.
func (in *intake) begin() (shards uint64, after int64, exclude []int64) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, apply := range in.later {
		apply()
	}
	clear(in.later)
	in.later = in.later[:0]
	return in.shards, in.cursor, in.excluded(in.cursor)
}

// excluded returns the ids above after that are under way, in order.
func (in *intake) excluded(after int64) []int64 {
	exclude := make([]int64, 0, len(in.inFlight))
	for id := range in.inFlight {
		if id > after {
			exclude = append(exclude, id)
		}
	}
	slices.Sort(exclude)
	return exclude
}

// rewind makes the next read start over: rows that nothing here remembers are found again.
func (in *intake) rewind() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.later = append(in.later, func() { in.cursor = 0 })
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
	if b := in.blocks[key]; b != nil {
		b.behind = lowest(b.behind, row.ID)
		return false
	}
	if l := in.lanes[key]; l != nil && (l.broken || l.behind != 0 || len(l.items) >= laneLimit) {
		l.behind = lowest(l.behind, row.ID)
		return false
	}
	return true
}

// admitDue decides the same for a row that was put off: of a blocked key only the row that blocks it.
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
	return b == nil || b.row == row.ID && b.doubts == 0
}

// take marks an admitted row as under way, at the end of its key's lane. A row that blocked its key frees it: those behind
// it are read again.
func (in *intake) take(it *item) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.inFlight[it.row.ID] = struct{}{}
	key := it.row.Key()
	if key == (Key{}) {
		return
	}
	if b := in.blocks[key]; b != nil {
		delete(in.blocks, key)
		in.revisit(b.behind)
	}
	in.lane(key).append(it)
}

func (in *intake) lane(key Key) *lane {
	l := in.lanes[key]
	if l == nil {
		l = &lane{key: key}
		in.lanes[key] = l
	}
	return l
}

// strand remembers an admitted row that no queue takes at the moment. The rows of its key behind it are left behind too,
// even if the queue is back in the middle of the read.
func (in *intake) strand(row *Row) {
	in.mu.Lock()
	defer in.mu.Unlock()
	key := row.Key()
	if key == (Key{}) {
		in.stranded = lowest(in.stranded, row.ID)
		return
	}
	l := in.lane(key)
	l.behind = lowest(l.behind, row.ID)
	in.strandedLanes = append(in.strandedLanes, l)
}

// unstrand makes the next read look again at the rows that no queue took.
func (in *intake) unstrand() {
	in.mu.Lock()
	defer in.mu.Unlock()
	id, lanes := in.stranded, in.strandedLanes
	in.stranded, in.strandedLanes = 0, nil
	in.later = append(in.later, func() {
		in.revisit(id)
		for _, l := range lanes {
			in.drained(l)
		}
	})
}

// under returns all ids that are under way.
func (in *intake) under() []int64 {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.excluded(0)
}

// gone reports items whose rows a fresh read no longer finds: deleted, dead or put off.
func (in *intake) gone(items ...*item) { in.leave(items, false) }

// pending reports items whose rows are to be read again.
func (in *intake) pending(items ...*item) { in.leave(items, true) }

func (in *intake) leave(items []*item, again bool) {
	if len(items) == 0 {
		return
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	ids := make([]int64, len(items))
	for i, it := range items {
		ids[i] = it.row.ID
		in.leaveLane(it)
	}
	in.later = append(in.later, func() {
		for _, id := range ids {
			delete(in.inFlight, id)
			if again {
				in.revisit(id)
			}
		}
	})
}

func (in *intake) leaveLane(it *item) {
	l := it.lane
	if l == nil {
		return
	}
	it.lane = nil
	l.remove(it)
	if len(l.items) == 0 {
		in.later = append(in.later, func() { in.drained(l) })
	}
}

// drained removes a lane that is empty, and has the rows read again that it left behind. It is called when a read begins.
func (in *intake) drained(l *lane) {
	if len(l.items) == 0 && in.lanes[l.key] == l {
		delete(in.lanes, l.key)
		in.revisit(l.behind)
	}
}

// revisit moves the cursor back so that the next read sees id again. It is called with the lock held.
func (in *intake) revisit(id int64) {
	if id > 0 && in.cursor >= id {
		in.cursor = id - 1
	}
}

func lowest(a, b int64) int64 {
	if a == 0 {
		return b
	}
	return min(a, b)
}

func (in *intake) owned() uint64 {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.shards
}
