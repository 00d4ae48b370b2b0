package relay

import (
	"log/slog"
	"time"
)

// Stage 2, first half: the messages of a batch are built, and it is noted where they will lie.

// prepare builds the messages of a batch that is sent plainly. False if nothing is left to send.
func (b *batch) prepare() bool { return b.build() && b.locate() }

// count counts one message that was stored, or the reason why not.
func (b *batch) count(reason Reason) {
	if b.way == WayHalf {
		b.s.metrics.Halves(b.ctx(), tally{reason: 1})
	} else {
		b.s.metrics.Send(b.ctx(), b.way, reason)
	}
}

// build makes the messages, and the attempt that will hold them. Rows that break a rule go to the dead letters.
func (b *batch) build() bool {
	born, reading := b.s.clocks.now(b.broker)
	b.born, b.built, b.reading = born.Truncate(time.Millisecond), time.Now(), reading
	id, err := NewAttemptID(b.born)
	if err != nil {
		b.s.end(err)
		return false
	}
	b.attempt = &Attempt{ID: id, Way: b.way, Broker: b.broker, Born: b.born, Window: b.s.cfg.Window}
	if b.way == WayHalf {
		b.term = b.s.term(b.broker)
	}
	b.events = make(chan event, 2*len(b.items))
	var dead []Failure
	var buried, again []*item
	b.keep(func(it *item) bool {
		half, failure := b.message(&it.row)
		if failure == nil {
			half.Queue, half.Born, half.Immunity = it.queue.ID, b.born, b.term.immunity
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
	if b.way != WayHalf && !b.schedule() {
		return false
	}
	targets, err := b.s.ends.targets(b.ctx(), address, b.items)
	if err != nil {
		b.s.trouble(b.broker, "", refusal(err), slog.String("error", err.Error()))
		b.giveBack(refusal(err))
		return false
	}
	b.attempt.Targets = targets
	return true
}

// giveBack returns all rows to pending: nothing of the batch was sent.
func (b *batch) giveBack(reason Reason) {
	for _, it := range b.items {
		b.count(reason)
		b.s.pauses.withdraw(b.broker, it.row.Topic)
		b.s.intake.breakLane(it)
	}
	items := b.keep(func(*item) bool { return false })
	b.s.intake.pending(items...)
}
