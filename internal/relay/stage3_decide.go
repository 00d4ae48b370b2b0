package relay

import (
	"fmt"
	"log/slog"
	"time"
)

// Stage 3: decide. The attempt goes into the ledger, for as long as this session's lease stands and every row is still
// there. From then on the halves may be committed, or the messages of a batch without halves be sent, and whoever finds the
// attempt open knows that they may have been.

// decide writes the attempt. False if nothing of it may be committed.
func (b *batch) decide() bool {
	b.await()
	dropped := b.keep(b.s.intake.mayDecide)
	b.forget(dropped)
	if len(b.items) == 0 {
		return false
	}
	b.enter()
	started := time.Now()
	decision, err := b.s.ledger.decide(b.ctx(), b.attempt)
	if err != nil {
		// Whether it is in the ledger is unknown; certain is that nothing of it was committed, or will be.
		b.s.carry(Closing{Attempt: b.attempt.ID, Lenient: !b.exact, Struck: positions(b.items)})
		b.s.end(fmt.Errorf("decide an attempt of %d messages: %w", len(b.items), err))
		return false
	}
	b.s.metrics.Decide(b.ctx(), len(b.items), time.Since(started))
	switch decision {
	case DecisionMade:
		b.pass()
		b.s.cfg.at(PointDecide)
		return true
	case DecisionRowGone:
		b.s.log.Warn("a row was deleted while its message was on the way: the batch is built again",
			slog.String("attempt", b.attempt.ID.String()), slog.Int("rows", len(b.items)))
		b.giveUp()
		return false
	default:
		b.giveUp()
		b.s.end(ErrSessionOver)
		return false
	}
}

// await waits until the batches with earlier rows of the same keys have passed decide: of a key only the unbroken run from
// its first pending row is decided.
func (b *batch) await() {
	for _, it := range b.items {
		for _, earlier := range b.s.intake.before(it) {
			select {
			case <-earlier.decided:
			case <-b.s.work.Done():
				return
			}
		}
	}
}

// enter lists the items as entries of the attempt.
func (b *batch) enter() {
	b.attempt.Entries = make([]Entry, len(b.items))
	for i, it := range b.items {
		it.position = i
		b.attempt.Entries[i] = Entry{
			Index: it.index, Row: it.row.ID, Shard: it.row.Shard, Target: it.target,
			HalfOffset: it.stored.HalfOffset, LogOffset: it.stored.LogOffset,
			OrderingKey: it.row.OrderingKey, DedupKey: it.row.DedupKey,
		}
	}
}

// giveUp returns all rows to pending.
func (b *batch) giveUp() {
	items := b.keep(func(it *item) bool {
		b.s.intake.breakLane(it)
		return false
	})
	b.forget(items)
}

func positions(items []*item) []int {
	p := make([]int, len(items))
	for i, it := range items {
		p[i] = it.position
	}
	return p
}
