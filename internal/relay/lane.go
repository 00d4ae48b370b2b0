package relay

import "slices"

// laneLimit is how many rows of one key are under way at most; their commits go one after the other anyway.
const laneLimit = 256

// A lane is the rows of one key that are under way, in id order. The broker reorders what it is sent at once, so the
// commits of a lane wait for each other's answers: only its head may be committed. It is guarded by the intake's lock.
type lane struct {
	key    Key
	shard  int16
	items  []*item
	broken bool  // an item did not get through: nothing is added
	behind int64 // lowest id of the key that was left behind, 0 = none
}

// takes reports whether another row may join. Once one was left behind, none may overtake it.
func (l *lane) takes() bool { return !l.broken && l.behind == 0 && len(l.items) < laneLimit }

// append adds an item. The lane may have been broken since the item was admitted; then it gives up with the others.
func (l *lane) append(it *item) {
	it.lane, it.cut = l, l.broken
	l.items = append(l.items, it)
}

func (l *lane) remove(it *item) {
	if i := slices.Index(l.items, it); i >= 0 {
		l.items = slices.Delete(l.items, i, i+1)
	}
}

// lane returns the lane of a row's key.
func (in *intake) lane(row *Row) *lane {
	key := row.Key()
	l := in.lanes[key]
	if l == nil {
		l = &lane{key: key, shard: row.Shard}
		in.lanes[key] = l
	}
	return l
}

// leaveLane takes an item out of its lane. It is called with the lock held.
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

// drained removes a lane that is empty, and has the rows read again that it left behind. It is called when a read begins,
// with the lock held.
func (in *intake) drained(l *lane) {
	if len(l.items) == 0 && in.lanes[l.key] == l {
		delete(in.lanes, l.key)
		in.free(l.key, l.behind)
	}
}

// leads reports whether an item is the first of its key: every row before it has been confirmed. Only such a row can be put
// off or die, or it would overtake those before it when it comes back. It is asked before the lane is broken at the item:
// one that was cut has an earlier row that did not get through, even if that one has left the lane by now.
func (in *intake) leads(it *item) bool {
	if it.lane == nil {
		return true
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	return !it.cut && it.lane.items[0] == it
}

// before returns the batches, other than it.batch, that hold earlier items of the lane.
func (in *intake) before(it *item) []*batch {
	if it.lane == nil {
		return nil
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	var batches []*batch
	for _, earlier := range it.lane.items {
		if earlier == it {
			break
		}
		if earlier.batch != it.batch && !slices.Contains(batches, earlier.batch) {
			batches = append(batches, earlier.batch)
		}
	}
	return batches
}

// breakLane cuts a lane at an item that did not get through: it and those behind it give up, and those that wait for their
// turn are told. What is before it goes on.
func (in *intake) breakLane(it *item) {
	in.mu.Lock()
	defer in.mu.Unlock()
	l := it.lane
	if l == nil || it.cut {
		return
	}
	l.broken = true
	for _, other := range l.items[slices.Index(l.items, it):] {
		other.cut = true
		if other.waiting {
			other.waiting = false
			other.batch.turn(other, false)
		}
	}
}

// mayDecide reports whether the unbroken run from the key's first pending row reaches this item.
func (in *intake) mayDecide(it *item) bool {
	if it.lane == nil {
		return true
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	return !it.cut
}

// A turn is what a lane says to an item that wants to be committed.
type turn int

const (
	turnNow   turn = iota + 1 // it is the head, or unordered
	turnLater                 // its batch will be told
	turnNever                 // the lane is broken
)

// mayCommit asks for an item's turn.
func (in *intake) mayCommit(it *item) turn {
	if it.lane == nil {
		return turnNow
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	switch {
	case it.cut:
		return turnNever
	case it.lane.items[0] == it:
		return turnNow
	default:
		it.waiting = true
		return turnLater
	}
}

// confirmed takes a committed item out of its lane, gives the next one its turn, and leaves the row under way until it is
// settled.
func (in *intake) confirmed(it *item) {
	if it.lane == nil {
		return
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	l := it.lane
	in.leaveLane(it)
	if len(l.items) > 0 {
		if next := l.items[0]; next.waiting {
			next.waiting = false
			next.batch.turn(next, true)
		}
	}
}

// stopWaiting takes back an item's wait for its turn. False if it was not waiting: its turn has come, or it was told that it
// never will.
func (in *intake) stopWaiting(it *item) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	was := it.waiting
	it.waiting = false
	return was
}
