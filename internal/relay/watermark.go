package relay

import (
	"slices"
	"time"
)

// watermark turns samples of the identity sequence and of the transactions that may still insert into the id up to which the
// outbox is decided: committed, or never to exist. Only then may a read start behind an id, because a small id can be
// committed long after a larger one.
//
// A transaction that inserted and stays open would hold the watermark for as long as it lives, and every read would step over
// all that was sent meanwhile. So upTo passes a writer that has been seen for a while. It is guarded instead: a read that
// starts behind its ids counts only if the writer was running in the read's own snapshot, and when it has ended, reads start
// again where its ids can be.
type watermark struct {
	upTo      int64 // every id up to it is decided, but for those of guarded writers
	floor     int64 // every id up to it is decided
	allocated int64 // by the last sample
	writers   map[string]inserter
}

// An inserter is a Writer and what samples tell about it.
type inserter struct {
	since int64     // its ids are above it
	seen  time.Time // when it was first seen
	xid   int64
}

// guardAfter is how old a writer must be for the watermark to pass it.
const guardAfter = time.Second

// observe takes a sample in. If a guarded writer is gone, ended is true and back is an id that all its rows lie above.
func (w *watermark) observe(sample Decided, now time.Time) (back int64, ended bool) {
	gone := inserter{since: w.allocated, seen: now}
	for name, old := range w.writers {
		if !slices.ContainsFunc(sample.Writers, func(wr Writer) bool { return wr.Name == name }) {
			gone = gone.or(old)
			ended = ended || old.since < w.upTo
		}
	}
	writers := make(map[string]inserter, len(sample.Writers))
	upTo, floor := sample.Allocated, sample.Allocated
	for _, wr := range sample.Writers {
		in, known := w.writers[wr.Name]
		switch {
		case known:
		case wr.Prepared:
			in = gone // PREPARE TRANSACTION gave it another name: it may be any of those that are gone
		default:
			in = inserter{since: w.allocated, seen: now}
		}
		in.xid = wr.XID
		writers[wr.Name] = in
		floor = min(floor, in.since)
		if in.xid == 0 || now.Sub(in.seen) < guardAfter {
			upTo = min(upTo, in.since)
		}
	}
	w.upTo, w.floor = max(w.upTo, upTo), max(w.floor, floor)
	w.allocated, w.writers = sample.Allocated, writers
	return gone.since, ended
}

// or returns what holds for both of two writers.
func (in inserter) or(other inserter) inserter {
	in.since = min(in.since, other.since)
	if other.seen.Before(in.seen) {
		in.seen = other.seen
	}
	return in
}

// guard returns the transactions that have to be running for a read from an id on to be complete.
func (w *watermark) guard(after int64) []int64 {
	if after <= w.floor {
		return nil
	}
	var xids []int64
	for _, in := range w.writers {
		if in.since < after {
			xids = append(xids, in.xid)
		}
	}
	return xids
}
