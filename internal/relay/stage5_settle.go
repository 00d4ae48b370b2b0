package relay

import (
	"fmt"
	"log/slog"
	"time"
)

// Stage 5: settle. A row is deleted when, and because, the broker has confirmed its message: from then on the ledger is what
// is known of it. What was certainly not applied is struck, and the row is pending again; what is in doubt stays open.

// settle reports whether the broker has confirmed any.
func (b *batch) settle() (confirmed bool) {
	closing := Closing{Attempt: b.attempt.ID, Lenient: !b.exact}
	var settled, struck, doubts []*item
	for _, it := range b.items {
		switch it.verdict {
		case CommitDone:
			settled = append(settled, it)
		case CommitRefused:
			struck = append(struck, it)
		case CommitInDoubt:
			doubts = append(doubts, it)
		}
	}
	if len(settled) == len(b.items) && len(b.attempt.Entries) == len(b.items) {
		closing.All = true
	} else {
		closing.Settled, closing.Struck = positions(settled), positions(struck)
	}
	for _, it := range doubts {
		b.s.intake.doubtItem(it)
		b.s.resolver.add(b.doubt(it))
	}
	if b.way == WayHalf {
		b.troubles(struck, doubts)
	}
	if len(settled)+len(struck) == 0 {
		return false
	}
	started := time.Now()
	if _, err := b.s.ledger.close(b.ctx(), closing); err != nil {
		b.s.carry(closing)
		b.s.end(fmt.Errorf("settle an attempt of %d messages: %w", len(b.items), err))
		return false
	}
	b.s.metrics.Settle(b.ctx(), len(settled), time.Since(started))
	b.s.sent(settled)
	b.s.intake.gone(settled...)
	if b.way == WayHalf {
		b.forget(struck)
	} else {
		b.dispose(b.outcome)
	}
	b.s.cfg.at(PointSettle)
	return len(settled) > 0
}

// troubles pauses the broker where its answers to commits ask for it.
func (b *batch) troubles(struck, doubts []*item) {
	for _, it := range struck {
		if it.reason == ReasonWindowOver {
			b.s.late(b.broker)
		}
		early := it.reason == ReasonWindowOver && time.Since(b.built) < b.term.window
		switch {
		case early && !b.s.clocks.refused(b.broker, b.reading):
			return // the next batch is born by a new reading of the broker's clock
		case early:
			b.s.trouble(b.broker, "", ReasonWindowOver, slog.String("hint", b.s.clocks.describe(b.broker)))
			return
		case it.reason == ReasonBusy || it.reason == ReasonUnreachable:
			b.s.trouble(b.broker, "", it.reason, slog.String("stage", "commit"))
			return
		}
	}
	if len(doubts) > 0 {
		b.s.trouble(b.broker, "", doubts[0].reason, slog.String("stage", "commit"))
	}
}

func (b *batch) doubt(it *item) *doubt {
	return &doubt{
		attempt: b.attempt.ID, position: it.position, row: it.row.ID, key: it.row.Key(), shard: it.row.Shard,
		broker: b.broker, over: b.built.Add(b.attempt.Window), since: time.Now(),
		queue:    TopicQueue{Topic: it.row.Topic, Queue: it.queue.ID},
		readFrom: b.attempt.Targets[it.target].ReadFrom, kept: b.attempt.kept(), rule: b.s.absence(b.way, it.row.Topic),
		half: StoredHalf{Topic: it.row.Topic, UniqKey: it.half.UniqKey, HalfOffset: it.stored.HalfOffset, LogOffset: it.stored.LogOffset},
	}
}
