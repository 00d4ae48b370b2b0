package relay

import "log/slog"

// sorted is what became of the halves of a batch, by what happens to their rows now.
type sorted struct {
	again  []*item // pending at once
	off    []*item // put off, because of ...
	putOff []Failure
	buried []*item // dead, because of ...
	dead   []Failure

	stored  map[string]bool    // topics of which a half was stored
	trouble map[string]Failure // topics that the broker does not take now
	silence *Failure           // no answer
}

// sort applies the table of answers to the halves and keeps the items that are stored. Once one row of a key did not get
// through, the rows of the key behind it do not either, whatever their own answer was.
func (b *batch) sort(answers []HalfAnswer) {
	s := sorted{stored: make(map[string]bool), trouble: make(map[string]Failure)}
	n, i := len(b.items), -1
	b.keep(func(it *item) bool {
		i++
		return b.sortOne(&s, it, answers[i])
	})
	b.troubled(&s, n)
	b.forget(s.again)
	b.putOff(s.off, s.putOff)
	b.bury(s.buried, s.dead)
}

func (b *batch) sortOne(s *sorted, it *item, a HalfAnswer) (keep bool) {
	verdict, reason := JudgeHalf(a.Answer)
	b.s.metrics.Half(b.ctx(), reason)
	if a.Stored {
		it.stored = StoredHalf{Topic: it.row.Topic, UniqKey: it.half.UniqKey, HalfOffset: a.HalfOffset, LogOffset: a.LogOffset}
	}
	first := b.s.intake.mayDecide(it)
	if verdict == HalfStored {
		s.stored[it.row.Topic] = true
		if !first {
			s.again = append(s.again, it)
		}
		return first
	}
	b.s.pauses.withdraw(b.broker, it.row.Topic)
	b.s.intake.breakLane(it)
	f := Failure{Row: it.row.ID, Reason: reason, Error: a.describe(), Broker: b.broker}
	switch verdict {
	case HalfForget:
		s.silence = &f
	case HalfSlow, HalfPause:
		s.trouble[it.row.Topic] = f
	case HalfStored, HalfUnsafe, HalfDead:
	}
	switch {
	case !first:
		s.again = append(s.again, it)
	case verdict == HalfUnsafe:
		f.Delay, f.Counted = b.s.cfg.Retry.Wait(int(it.row.Attempts)), true
		s.off, s.putOff = append(s.off, it), append(s.putOff, f)
	case verdict == HalfPause:
		f.Delay = b.s.cfg.Retry.Initial // the pause of the topic holds it back longer
		s.off, s.putOff = append(s.off, it), append(s.putOff, f)
	case verdict == HalfDead:
		s.buried, s.dead = append(s.buried, it), append(s.dead, f)
	default:
		s.again = append(s.again, it)
	}
	return false
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
