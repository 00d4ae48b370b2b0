package relay

import (
	"log/slog"
	"time"
)

// Stage 2: half messages. A half is invisible until it is committed, and one that is never committed harms nobody: whatever
// goes wrong here is forgotten, and the row is sent again under another UNIQ_KEY.

// sendHalves builds and sends the batch's halves and keeps the items that are stored. False if nothing is left to decide.
func (b *batch) sendHalves() bool {
	defer b.s.throttle.done(b.broker, len(b.items))
	if !b.build() {
		return false
	}
	started := time.Now()
	if !b.locate() {
		return false
	}
	halves := make([]Half, len(b.items))
	for i, it := range b.items {
		halves[i] = it.half
	}
	sent := time.Now()
	answers := b.s.broker.Halves(b.ctx(), b.address, halves)
	done, half := time.Now(), b.smallest(answers)
	b.s.cfg.at(PointHalf)
	b.s.metrics.HalfDuration(b.ctx(), done.Sub(started))
	b.sort(answers)
	return len(b.items) > 0 && b.timely(half, sent, done)
}

// build makes the halves, and the attempt that will hold them. Rows that break a rule go to the dead letters.
func (b *batch) build() bool {
	born, reading := b.s.clocks.now(b.broker)
	b.born, b.built, b.reading = born.Truncate(time.Millisecond), time.Now(), reading
	id, err := NewAttemptID(b.born)
	if err != nil {
		b.s.end(err)
		return false
	}
	b.attempt = &Attempt{ID: id, Broker: b.broker, Born: b.born, Window: b.s.cfg.Window}
	b.events = make(chan event, 2*len(b.items))
	var dead []Failure
	var buried, again []*item
	b.keep(func(it *item) bool {
		half, failure := b.message(&it.row)
		if failure == nil {
			half.Queue, half.Born, half.Window = it.queue.ID, b.born, b.s.cfg.Window
			it.half = half
			return true
		}
		leads := b.s.intake.leads(it)
		b.s.intake.breakLane(it)
		if leads {
			buried, dead = append(buried, it), append(dead, *failure)
		} else {
			again = append(again, it)
		}
		return false
	})
	for i, it := range b.items {
		it.index = i
		it.half.UniqKey = id.UniqKey(i)
	}
	b.forget(again)
	b.bury(buried, dead)
	return len(b.items) > 0
}

// locate finds the broker's address and, for each queue, an offset that no message of the attempt can lie before.
func (b *batch) locate() bool {
	address, up := b.s.broker.Address(b.broker)
	if !up {
		b.giveBack(ReasonUnreachable)
		return false
	}
	b.address, b.attempt.Address = address, address
	targets, err := b.s.ends.targets(b.ctx(), address, b.items)
	if err != nil {
		b.s.trouble(b.broker, "", ReasonUnreachable, slog.String("error", err.Error()))
		b.giveBack(ReasonUnreachable)
		return false
	}
	b.attempt.Targets = targets
	return true
}

// giveBack returns all rows to pending: nothing of the batch was sent.
func (b *batch) giveBack(reason Reason) {
	for _, it := range b.items {
		b.s.metrics.Half(b.ctx(), reason)
		b.s.pauses.withdraw(b.broker, it.row.Topic)
		b.s.intake.breakLane(it)
	}
	items := b.keep(func(*item) bool { return false })
	b.s.intake.pending(items...)
}
