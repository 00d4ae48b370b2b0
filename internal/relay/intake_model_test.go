package relay

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// The intake against a model of the outbox: whatever happens to rows, in whatever order the reader and the batches report it,
// the rows of a key arrive in id order, none arrives twice, and none is forgotten.

// where is a row of the model's outbox.
type where int

const (
	fresh  where = iota // a fresh read shows it
	putoff              // only a due read shows it, once its time has come
	deadly              // in the dead letters, and its key waits
)

type modelRow struct {
	row    Row
	where  where
	due    bool
	hidden bool // its writer has not committed yet
}

// A doubtfulRow is a commit without an answer.
type doubtfulRow struct {
	row     Row
	applied bool
}

// world is an outbox, its topic, and the intake of the one relay that moves rows from one to the other.
type world struct {
	in       *intake
	batch    *batch
	table    map[int64]*modelRow
	last     int64
	snapshot []int64 // of a read that has begun; nil = none has
	decided  int64   // as sampled before it
	limit    int
	under    []*item         // sent, not answered
	done     []*item         // on the topic, not settled
	doubts   []doubtfulRow   // may be on the topic
	arrived  map[int64]bool  // on the topic
	newest   map[Key]int64   // the last to arrive
	taken    map[int64]*item // by the relay
}

func newWorld() *world {
	b := newBatch(nil, batchKey{broker: "b", way: WayHalf})
	b.events = make(chan event, 10_000)
	w := &world{
		in: newIntake(), batch: b, table: make(map[int64]*modelRow), arrived: make(map[int64]bool), newest: make(map[Key]int64),
		taken: make(map[int64]*item), limit: 4,
	}
	w.in.own(1, nil, nil)
	return w
}

func (w *world) insert(key string, hidden bool) {
	w.last++
	w.table[w.last] = &modelRow{row: *ordered(w.last, key), hidden: hidden}
}

// begin begins a read: what it shows is the table of now.
func (w *world) begin() {
	w.decided = w.last
	for id, r := range w.table {
		if r.hidden {
			w.decided = min(w.decided, id-1)
		}
	}
	_, after, exclude := w.in.begin(nil, nil)
	w.snapshot = []int64{}
	for id, r := range w.table {
		if r.where == fresh && !r.hidden && id > after && !slices.Contains(exclude, id) {
			w.snapshot = append(w.snapshot, id)
		}
	}
	slices.Sort(w.snapshot)
}

// finish takes in what the read shows.
func (w *world) finish(t *rapid.T, strand func() bool) {
	seen := int64(1 << 60)
	if len(w.snapshot) >= w.limit {
		w.snapshot = w.snapshot[:w.limit]
		seen = w.snapshot[w.limit-1]
	}
	for _, id := range w.snapshot {
		row := keyed(id, w.key(id))
		if !w.in.admit(row) {
			continue
		}
		if strand() {
			w.in.strand(row, pauseKey{"b", "t"})
			continue
		}
		w.take(t, row)
	}
	w.in.advance(w.decided, seen)
	w.snapshot = nil
	w.finishDue(t)
}

func (w *world) finishDue(t *rapid.T) {
	var ids []int64
	for id, r := range w.table {
		if r.where == putoff && r.due && !slices.Contains(w.in.notDue(), id) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	for _, id := range ids {
		if row := keyed(id, w.key(id)); w.in.admitDue(row) {
			w.take(t, row)
		}
	}
}

// key is the ordering key of a row; it outlives the row, as an old snapshot does.
func (w *world) key(id int64) string {
	if r := w.table[id]; r != nil {
		return r.row.OrderingKey
	}
	return w.taken[id].row.OrderingKey
}

func (w *world) take(t *rapid.T, row *Row) {
	for _, it := range slices.Concat(w.under, w.done) {
		if it.row.ID == row.ID {
			t.Fatalf("row %d is taken in while it is under way", row.ID)
		}
	}
	if w.arrived[row.ID] {
		t.Fatalf("row %d is taken in after it has arrived", row.ID)
	}
	it := w.batch.add(row, Queue{Broker: "b"})
	w.in.take(it)
	w.under = append(w.under, it)
	w.taken[row.ID] = it
}

func (w *world) arrive(t *rapid.T, row *Row) {
	if w.arrived[row.ID] {
		t.Fatalf("row %d arrives twice", row.ID)
	}
	w.arrived[row.ID] = true
	key := row.Key()
	if key == (Key{}) {
		return
	}
	if row.ID < w.newest[key] {
		t.Fatalf("row %d arrives after row %d of its key", row.ID, w.newest[key])
	}
	w.newest[key] = row.ID
	for id, r := range w.table {
		if id < row.ID && r.row.Key() == key && !w.arrived[id] {
			t.Fatalf("row %d overtakes row %d of its key", row.ID, id)
		}
	}
}

// answer takes one item out of those that are under way.
func (w *world) answer(t *rapid.T) *item {
	if len(w.under) == 0 {
		t.Skip("nothing is under way")
	}
	i := rapid.IntRange(0, len(w.under)-1).Draw(t, "item")
	it := w.under[i]
	w.under = slices.Delete(w.under, i, i+1)
	return it
}

// again has an item give up.
func (w *world) again(it *item) {
	w.in.breakLane(it)
	w.in.pending(it)
}

// commit has an item's turn if it has one; otherwise it goes on waiting, or gives up.
func (w *world) commit(it *item) bool {
	if !w.in.mayDecide(it) {
		w.in.pending(it)
		return false
	}
	if w.in.mayCommit(it) != turnNow {
		w.in.stopWaiting(it)
		w.under = append(w.under, it)
		return false
	}
	return true
}

// fail has the row of an item put off or dead, if it may be, the way stage2_sort does.
func (w *world) fail(it *item, to where) {
	leads := w.in.leads(it)
	w.in.breakLane(it)
	if !leads {
		w.in.pending(it)
		return
	}
	r := w.table[it.row.ID]
	r.where, r.due = to, false
	w.in.hold(&it.row, to == deadly)
	w.in.off(it)
}

func (w *world) settle() {
	for _, it := range w.done {
		delete(w.table, it.row.ID)
		w.in.gone(it)
	}
	w.done = nil
}

func (w *world) resolve(i int) {
	d := w.doubts[i]
	w.doubts = slices.Delete(w.doubts, i, i+1)
	if d.applied {
		delete(w.table, d.row.ID)
	}
	w.in.resolved(d.row.Key(), d.row.ID, !d.applied)
}

// remove has an operator delete the dead rows, which the relay finds out.
func (w *world) remove() {
	for row, key := range w.in.holding() {
		if r := w.table[row]; r != nil && r.where == deadly {
			delete(w.table, row)
		}
		if w.table[row] == nil {
			w.in.vanished(key, row)
		}
	}
	for id, r := range w.table {
		if r.where == deadly { // an unordered row holds no key
			delete(w.table, id)
		}
	}
}

func (w *world) actions() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"insert": func(t *rapid.T) {
			key := rapid.SampledFrom([]string{"", "a", "a", "b"}).Draw(t, "key")
			w.insert(key, key == "" && rapid.Bool().Draw(t, "hidden"))
		},
		"the writers commit": func(*rapid.T) {
			for _, r := range w.table {
				r.hidden = false
			}
		},
		"read": func(t *rapid.T) {
			if w.snapshot == nil {
				w.begin()
				return // whatever comes in between, the read does not show
			}
			w.finish(t, func() bool { return rapid.IntRange(0, 5).Draw(t, "strand") == 0 })
		},
		"unstrand": func(*rapid.T) { w.in.unstrand(pauseKey{"b", "t"}) },
		"no answer": func(t *rapid.T) {
			w.again(w.answer(t))
		},
		"flush timeout": func(t *rapid.T) { w.fail(w.answer(t), putoff) },
		"dead":          func(t *rapid.T) { w.fail(w.answer(t), deadly) },
		"confirm": func(t *rapid.T) {
			if it := w.answer(t); w.commit(it) {
				w.arrive(t, &it.row)
				w.in.confirmed(it)
				w.done = append(w.done, it)
			}
		},
		"confirm and settle": func(t *rapid.T) {
			if it := w.answer(t); w.commit(it) {
				w.arrive(t, &it.row)
				w.in.confirmed(it)
				w.done = append(w.done, it)
				w.settle()
			}
		},
		"settle": func(*rapid.T) { w.settle() },
		"lose the answer": func(t *rapid.T) {
			if it := w.answer(t); w.commit(it) {
				applied := rapid.Bool().Draw(t, "applied")
				if applied {
					w.arrive(t, &it.row)
				}
				w.in.breakLane(it)
				w.in.doubtItem(it)
				w.doubts = append(w.doubts, doubtfulRow{it.row, applied})
			}
		},
		"resolve": func(t *rapid.T) {
			if len(w.doubts) == 0 {
				t.Skip("nothing is in doubt")
			}
			w.resolve(rapid.IntRange(0, len(w.doubts)-1).Draw(t, "doubt"))
		},
		"time passes": func(*rapid.T) {
			for _, r := range w.table {
				r.due = r.where == putoff
			}
		},
		"requeue": func(*rapid.T) {
			for _, r := range w.table {
				if r.where == deadly {
					r.where, r.due = putoff, true
				}
			}
		},
		"remove": func(*rapid.T) { w.remove() },
	}
}

// drain lifts every block and lets everything go well: the outbox must become empty, without a sweep.
func (w *world) drain(t *rapid.T) {
	for _, r := range w.table {
		r.hidden = false
	}
	for len(w.doubts) > 0 {
		w.resolve(0)
	}
	w.in.unstrand(pauseKey{"b", "t"})
	if w.snapshot != nil {
		w.finish(t, func() bool { return false })
	}
	for round := 0; len(w.table) > 0; round++ {
		if round > 20+4*int(w.last) {
			t.Fatalf("rows are forgotten: %s", w)
		}
		for _, r := range w.table {
			if r.where == deadly {
				r.where = putoff
			}
			r.due = true
		}
		waiting := w.under
		w.under = nil
		for _, it := range waiting {
			if w.commit(it) {
				w.arrive(t, &it.row)
				w.in.confirmed(it)
				w.done = append(w.done, it)
			}
		}
		w.settle()
		w.begin()
		w.finish(t, func() bool { return false })
	}
	w.begin()
	if len(w.in.inFlight)+len(w.in.blocks)+len(w.in.lanes)+len(w.in.stranded) > 0 {
		t.Fatalf("something is remembered of an empty outbox: %s", w)
	}
}

func (w *world) String() string {
	s := fmt.Sprintf("cursor %d, in flight %v, skipped %v", w.in.cursor, w.in.inFlight, w.in.skipped)
	for id, r := range w.table {
		s += fmt.Sprintf("; row %d of %q at %d", id, r.row.OrderingKey, r.where)
	}
	for key, b := range w.in.blocks {
		s += fmt.Sprintf("; %v blocked by %+v", key, *b)
	}
	for key, l := range w.in.lanes {
		s += fmt.Sprintf("; lane %v of %v, broken %t, behind %d", key, ids(l.items), l.broken, l.behind)
	}
	return s
}

func TestIntakeAgainstTheModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld()
		t.Repeat(w.actions())
		w.drain(t)
	})
}
