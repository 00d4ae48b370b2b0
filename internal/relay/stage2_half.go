package relay

import "time"

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
