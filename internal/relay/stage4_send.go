package relay

import (
	"slices"
	"time"
)

// Stage 4 for topics that are not TRANSACTION: send. The attempt is in the ledger as an intent, so whoever finds it open knows
// that its messages may be on their queues, and looks there before anything is sent again. A message is visible as soon as it is
// stored, and no broker refuses one that comes late: that is why these topics are not exact.

// A request is what goes to the broker as one: a message, or several of one queue as one RocketMQ batch, which is stored as a
// whole or not at all.
type request []*item

// sending is the sends of a batch.
type sending struct {
	b       *batch
	chains  [][]request // the requests of a chain go one after the other, each after the answer to the one before
	ready   []int       // chains whose next request may go
	under   int         // requests sent and not answered
	answers chan sendAnswer
}

type sendAnswer struct {
	chain  int
	sent   request
	answer Answer
}

// sendPlain sends the messages and waits until each is answered or given up.
func (b *batch) sendPlain() {
	defer b.silent()
	b.outcome = newSorted()
	b.awaitAnswers()
	started := time.Now()
	s := &sending{b: b, chains: b.chains(), answers: make(chan sendAnswer, len(b.items))}
	for i := range s.chains {
		s.ready = append(s.ready, i)
	}
	for s.submit(); s.under > 0; s.submit() {
		s.handle(<-s.answers)
		for len(s.answers) > 0 { // whatever else is there goes into the same write
			s.handle(<-s.answers)
		}
	}
	b.sortRefused(b.outcome)
	b.troubled(b.outcome, len(b.items))
	b.s.metrics.SendDuration(b.ctx(), time.Since(started))
	b.s.cfg.at(PointSend)
}

// awaitAnswers waits until what goes before is answered: earlier rows of the same keys, and batches of topics that go in turn.
func (b *batch) awaitAnswers() {
	for _, it := range b.items {
		for _, earlier := range b.s.intake.before(it) {
			b.after = append(b.after, earlier.answered)
		}
	}
	for _, answered := range b.after {
		select {
		case <-answered:
		case <-b.s.work.Done():
			return
		}
	}
	b.after = nil
}

// chains divides the items into requests: those of one queue together, in the order of their ids. Where they go in turn, the
// requests of a queue are one chain; elsewhere each is a chain of its own.
func (b *batch) chains() [][]request {
	var chains [][]request
	type tail struct{ chain, bytes int } // the last chain of a queue, and the payload of its last request
	byQueue := make(map[TopicQueue]tail, 8)
	for _, it := range b.items {
		q := TopicQueue{Topic: it.row.Topic, Queue: it.queue.ID}
		t, known := byQueue[q]
		size := len(it.half.Body)
		switch {
		case known && b.joins(chains[t.chain][len(chains[t.chain])-1], it, t.bytes+size):
			last := len(chains[t.chain]) - 1
			chains[t.chain][last] = append(chains[t.chain][last], it)
			t.bytes += size
		case known && b.s.topics[q.Topic].inTurn():
			chains[t.chain] = append(chains[t.chain], request{it})
			t.bytes = size
		default:
			t = tail{chain: len(chains), bytes: size}
			chains = append(chains, []request{{it}})
		}
		byQueue[q] = t
	}
	return chains
}

// joins reports whether a message may go into a request, whose payload would then be of so many bytes: delayed messages go alone,
// and a batch has its limits.
func (b *batch) joins(r request, it *item, bytes int) bool {
	return len(r) < b.s.cfg.SendMessages && bytes <= b.s.cfg.SendBytes && b.batches(r[0]) && b.batches(it)
}

// batches reports whether an item can be part of a RocketMQ batch: what it says of its body, it says of every body in it.
func (b *batch) batches(it *item) bool {
	return !it.half.Compressed && it.row.DeliverAt.IsZero() && b.s.topics[it.row.Topic].Type != TypeDelay
}

// submit sends the next requests of the chains that are ready, in one write.
func (s *sending) submit() {
	var sent []request
	var of []int
	for len(s.ready) > 0 {
		chain := s.ready[0]
		s.ready = s.ready[1:]
		if r := s.next(chain); len(r) > 0 {
			sent, of = append(sent, r), append(of, chain)
		}
	}
	if len(sent) == 0 {
		return
	}
	s.under += len(sent)
	messages := make([][]Half, len(sent))
	for i, r := range sent {
		for _, it := range r {
			messages[i] = append(messages[i], it.half)
		}
	}
	submit := s.b.s.broker.Send
	if s.b.way == WayOneway {
		submit = s.b.s.broker.Oneway
	}
	submit(s.b.address, messages, func(i int, a Answer) {
		s.answers <- sendAnswer{chain: of[i], sent: sent[i], answer: a}
	})
}

// next takes the next request off a chain, without the items that are not to be sent any more: because an earlier row of their
// key did not get through, or because it is too late.
func (s *sending) next(chain int) request {
	b := s.b
	for len(s.chains[chain]) > 0 {
		r := s.chains[chain][0]
		s.chains[chain] = s.chains[chain][1:]
		reason := Reason("")
		switch {
		case b.s.work.Err() != nil:
			reason = ReasonSessionOver
		case time.Since(b.built) >= b.attempt.Window:
			reason = ReasonWindowOver
		}
		r = slices.DeleteFunc(r, func(it *item) bool {
			why := reason
			if why == "" && !b.s.intake.mayDecide(it) {
				why = ReasonPredecessor
			}
			if why != "" {
				b.unsent(it, why)
			}
			return why != ""
		})
		if len(r) > 0 {
			return r
		}
	}
	return nil
}

// unsent marks an item that was never sent: its row is pending again.
func (b *batch) unsent(it *item, reason Reason) {
	it.verdict, it.reason = CommitRefused, reason
	b.count(reason)
	b.s.pauses.withdraw(b.broker, it.row.Topic)
	b.s.intake.breakLane(it)
	b.outcome.again = append(b.outcome.again, it)
}

// handle takes in one answer.
func (s *sending) handle(a sendAnswer) {
	s.under--
	s.ready = append(s.ready, a.chain)
	verdict, reason, certain := JudgeSend(a.answer)
	if certain && verdict == HalfDead && len(a.sent) > 1 {
		// Nothing of it is stored, and it may be about one of them, or about their number: each goes again by itself.
		alone := make([]request, len(a.sent))
		for i, it := range a.sent {
			alone[i] = request{it}
		}
		s.chains[a.chain] = append(alone, s.chains[a.chain]...)
		return
	}
	for _, it := range a.sent {
		s.b.judged(it, verdict, reason, certain, a.answer)
	}
}

// judged applies the table of answers to one message.
func (b *batch) judged(it *item, verdict HalfVerdict, reason Reason, certain bool, a Answer) {
	b.count(reason)
	b.s.pauses.withdraw(b.broker, it.row.Topic)
	it.reason = reason
	switch {
	case !certain:
		it.verdict = CommitInDoubt
		b.s.traces.sends.end(it, reason, time.Now())
		b.s.intake.breakLane(it)
		f := Failure{Row: it.row.ID, Reason: reason, Error: a.describe(), Broker: b.broker}
		if a.Err != nil {
			b.outcome.silence = &f
		} else {
			b.outcome.trouble[it.row.Topic] = f
		}
	case verdict == HalfStored:
		it.verdict = CommitDone
		b.outcome.stored[it.row.Topic] = true
		b.s.intake.confirmed(it)
	default:
		it.verdict = CommitRefused
		b.sortFailed(b.outcome, it, verdict, reason, a)
	}
}
