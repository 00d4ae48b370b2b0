package relay

import (
	"context"
	"sync"
	"time"
)

// A batch is some rows on their way to one broker. Its life is the way of a row: run calls the stages in order.
type batch struct {
	s *session
	batchKey
	address string
	born    time.Time // by the broker's clock
	built   time.Time // the same instant, to measure by what has passed since
	reading int       // of the broker's clock that this goes by
	term    term      // of its halves
	taken   int       // how many items there were at the start
	room    []item    // for items to come
	items   []*item   // still going on; a stage that ends an item's way removes it
	attempt *Attempt
	decided chan struct{} // closed when the batch has passed decide, one way or the other
	passed  sync.Once
	over    chan struct{} // closed when run has returned
	events  chan event    // commit answers and turns of lanes, never more than two an item
	commits tally

	// Of a batch that is sent plainly:
	after    []<-chan struct{} // closed when the batches are answered that go before, for the sake of topics that go in turn
	answered chan struct{}     // closed when every send of this one is answered or given up
	silenced sync.Once
	outcome  *sorted // what becomes of the rows that did not get through
}

// An item is one row on its way.
type item struct {
	row      Row
	queue    Queue
	batch    *batch
	half     Half
	index    int // in the UNIQ_KEY
	stored   StoredHalf
	target   int        // in the attempt's targets
	kept     TopicQueue // where the broker keeps the message until it is due; zero = nowhere
	position int        // in the attempt's entries

	lane    *lane // nil if unordered or no longer under way; touched by the reader before the batch starts, then by the batch
	waiting bool  // for its turn to be committed; guarded by the intake's lock
	cut     bool  // it or an earlier item of its lane did not get through; guarded by the intake's lock

	verdict CommitVerdict // 0 = not answered
	reason  Reason
}

// event is something that a batch waits for while it commits.
type event struct {
	it       *item
	answered bool
	answer   Answer // if answered; otherwise it is a turn:
	now      bool   // now or never
}

// batchKey is what the rows of a batch have in common.
type batchKey struct {
	broker string
	way    Way
	exact  bool // their topics promise exactly once
}

func newBatch(s *session, key batchKey) *batch {
	return &batch{
		s: s, batchKey: key, commits: make(tally, 1), decided: make(chan struct{}), answered: make(chan struct{}), over: make(chan struct{}),
	}
}

func (b *batch) add(row *Row, q Queue) *item {
	if len(b.room) == 0 {
		b.room = make([]item, min(max(16, len(b.items)), 512)) // one allocation for many
	}
	it := &b.room[0]
	b.room = b.room[1:]
	it.row, it.queue, it.batch = *row, q, b
	b.items = append(b.items, it)
	return it
}

// turn is called by a lane, with the intake's lock held.
func (b *batch) turn(it *item, now bool) { b.events <- event{it: it, now: now} }

// run takes the batch all the way. It returns when every row is settled, pending again, put off, dead or handed to the
// resolver, or when the session is over and what is left unsaid has been carried to the next.
func (b *batch) run() {
	defer b.silent()
	defer b.pass()
	if b.way == WayHalf {
		confirmed := false
		if b.sendHalves() && b.decide() {
			b.commit()
			confirmed = b.settle()
		}
		b.s.committed(b.broker, confirmed)
		return
	}
	if b.prepare() && b.decide() {
		b.sendPlain()
		b.settle()
	}
}

// silent lets the batches go on that wait for the answers to this one.
func (b *batch) silent() {
	b.silenced.Do(func() {
		close(b.answered)
		if b.way != WayHalf {
			b.s.throttle.done(b.broker, b.taken)
		}
	})
}

// pass lets the batches go on that hold later rows of the same keys.
func (b *batch) pass() { b.passed.Do(func() { close(b.decided) }) }

// ctx is done when the session is over.
func (b *batch) ctx() context.Context { return b.s.work }

// keep leaves only the items for which f is true, and returns the others.
func (b *batch) keep(f func(*item) bool) (dropped []*item) {
	kept := b.items[:0]
	for _, it := range b.items {
		if f(it) {
			kept = append(kept, it)
		} else {
			dropped = append(dropped, it)
		}
	}
	b.items = kept
	return dropped
}

// forget rolls back halves that will not be committed, so that the broker need not ask about them, and returns their rows
// to pending.
func (b *batch) forget(items []*item) {
	halves := make([]StoredHalf, 0, len(items))
	for _, it := range items {
		if it.stored.UniqKey != "" {
			halves = append(halves, it.stored)
		}
	}
	if len(halves) > 0 {
		b.s.broker.Forget(b.address, halves)
	}
	b.s.intake.pending(items...)
}
