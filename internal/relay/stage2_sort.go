package relay

import (
	"log/slog"
	"time"
)

// sorted is what became of the halves or sends of a batch, by what happens to their rows now.
type sorted struct {
	again   []*item // pending at once
	off     []*item // put off, because of ...
	putOff  []Failure
	buried  []*item // dead, because of ...
	dead    []Failure
	refused []*item // with a code that may be about the row or about the broker
	why     []Failure

	stored  map[string]bool    // topics of which a half was stored
	trouble map[string]Failure // topics that the broker does not take now
	silence *Failure           // no answer
	tally   tally              // of half messages
}

// sort applies the table of answers to the halves and keeps the items that are stored. Once one row of a key did not get
// through, the rows of the key behind it do not either, whatever their own answer was.
func (b *batch) sort(answers []HalfAnswer) {
	s := newSorted()
	n, i := len(b.items), -1
	b.keep(func(it *item) bool {
		i++
		return b.sortOne(s, it, answers[i])
	})
	b.s.metrics.Halves(b.ctx(), s.tally)
	b.sortRefused(s)
	b.troubled(s, n)
	b.dispose(s)
}

func newSorted() *sorted {
	return &sorted{stored: make(map[string]bool), trouble: make(map[string]Failure), tally: make(tally, 1)}
}

// dispose does with the rows what they were sorted for.
func (b *batch) dispose(s *sorted) {
	b.forget(s.again)
	b.putOff(s.off, s.putOff)
	b.bury(s.buried, s.dead)
}

func (b *batch) sortOne(s *sorted, it *item, a HalfAnswer) (keep bool) {
	verdict, reason := JudgeHalf(a.Answer)
	s.tally[reason]++
	b.s.pauses.withdraw(b.broker, it.row.Topic)
	if a.Stored {
		it.stored = StoredHalf{Topic: it.row.Topic, UniqKey: it.half.UniqKey, HalfOffset: a.HalfOffset, LogOffset: a.LogOffset}
	}
	if verdict == HalfStored {
		s.stored[it.row.Topic] = true
		keep = b.s.intake.mayDecide(it)
		if !keep {
			s.again = append(s.again, it)
		}
		return keep
	}
	b.sortFailed(s, it, verdict, reason, a.Answer)
	return false
}

// sortFailed cuts the item's key behind it and sorts its row.
func (b *batch) sortFailed(s *sorted, it *item, verdict HalfVerdict, reason Reason, a Answer) {
	leads := b.s.intake.leads(it)
	b.s.intake.breakLane(it)
	f := Failure{Row: it.row.ID, Reason: reason, Error: a.describe(), Status: a.status(), Broker: b.broker}
	switch {
	case verdict == HalfForget:
		b.s.traces.sends.end(it, reason, time.Now())
		s.silence = &f
		s.again = append(s.again, it)
	case verdict == HalfSlow && reason == ReasonBrokerRefused && leads:
		s.refused, s.why = append(s.refused, it), append(s.why, f)
	case verdict == HalfSlow || verdict == HalfPause && !leads:
		s.trouble[it.row.Topic] = f
		s.again = append(s.again, it)
	case verdict == HalfPause:
		s.trouble[it.row.Topic] = f
		b.sortOff(s, it, f, false)
	case !leads:
		s.again = append(s.again, it)
	case verdict == HalfUnsafe:
		b.sortOff(s, it, f, true)
	case verdict == HalfDead:
		f.Counted = true // it was tried
		s.buried, s.dead = append(s.buried, it), append(s.dead, f)
	}
}

func (b *batch) sortOff(s *sorted, it *item, f Failure, counted bool) {
	f.Counted, f.Delay = counted, b.s.cfg.Retry.Wait(int(it.row.Attempts))
	f.Error = string(f.Reason) + ": " + f.Error
	s.off, s.putOff = append(s.off, it), append(s.putOff, f)
}

// sortRefused tells a row that the broker does not like from a broker that does not work. If others of the topic went
// through, it is the row. If not, the topic is paused, and a row that was alone, as the probe after a pause is, makes way for
// another.
func (b *batch) sortRefused(s *sorted) {
	alone := make(map[string]int)
	for _, it := range s.refused {
		alone[it.row.Topic]++
	}
	for i, it := range s.refused {
		f, topic := s.why[i], it.row.Topic
		if !s.stored[topic] {
			s.trouble[topic] = f
		}
		if s.stored[topic] || alone[topic] == 1 {
			b.sortOff(s, it, f, s.stored[topic])
		} else {
			s.again = append(s.again, it)
		}
	}
}

// troubled slows down, pauses and resumes what the answers ask for. A broker that is merely busy and still takes some gets
// fewer at a time.
func (b *batch) troubled(s *sorted, n int) {
	b.s.throttle.answered(b.broker, n, len(s.trouble) == 0 && s.silence == nil)
	for topic, f := range s.trouble {
		busy := f.Reason == ReasonBusy || f.Reason == ReasonFlowControl
		if !busy || !s.stored[topic] {
			b.s.trouble(b.broker, topic, f.Reason, slog.String("answer", f.Error))
		}
	}
	if s.silence != nil {
		b.s.trouble(b.broker, "", s.silence.Reason, slog.String("error", s.silence.Error))
	}
	for topic := range s.stored {
		if _, troubled := s.trouble[topic]; !troubled && s.silence == nil {
			b.s.resume(b.broker, topic)
		}
	}
}
