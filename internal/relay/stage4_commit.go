package relay

import "time"

// Stage 4: commit. Each half is committed once, two-way, at the address that stored it, within the window. A second commit
// of the same half would be a second message.

// commitsAtOnce is how many commits of a batch wait for their answers at once. What is answered later than commit_timeout is
// in doubt, so a broker that is slow must not be given more than it can answer in that time: its batches are smaller (throttle).
const commitsAtOnce = 512

// commitsTogether is how many must be answered before more go: answers come a few at a time, and a write for each few would cost
// both sides more than the commits.
const commitsTogether = commitsAtOnce / 2

// commit sends the commits and waits until each is answered or given up.
func (b *batch) commit() {
	started := time.Now()
	var ready []*item
	open := 0 // items without a verdict
	for _, it := range b.items {
		open++
		switch b.s.intake.mayCommit(it) {
		case turnNow:
			ready = append(ready, it)
		case turnNever:
			b.strike(it, ReasonPredecessor)
			open--
		case turnLater:
		}
	}
	over := b.s.work.Done()
	under := 0 // sent and not answered
	for open > 0 {
		if len(ready) > 0 && under <= commitsAtOnce-commitsTogether {
			n := min(len(ready), commitsAtOnce-under)
			struck := b.send(ready[:n])
			ready, open, under = ready[n:], open-struck, under+n-struck
			if open == 0 || struck > 0 {
				continue
			}
		}
		select {
		case e := <-b.events:
			for more := true; more; { // whatever else is there goes into the same write
				if e.answered {
					under--
				}
				ready, open = b.handle(e, ready, open)
				if more = len(b.events) > 0; more {
					e = <-b.events
				}
			}
		case <-over:
			over = nil
			open -= b.callOff()
		}
	}
	b.s.metrics.Commits(b.ctx(), b.commits)
	b.s.metrics.CommitDuration(b.ctx(), time.Since(started))
	b.s.cfg.at(PointCommit)
}

// send commits the items whose turn it is. It returns how many it struck instead, because it is too late for them.
func (b *batch) send(ready []*item) (struck int) {
	if len(ready) == 0 {
		return 0
	}
	reason := Reason("")
	if b.s.work.Err() != nil {
		reason = ReasonSessionOver
	} else if time.Since(b.built) >= b.term.window {
		reason = ReasonWindowOver
	}
	if reason != "" {
		for _, it := range ready {
			b.strike(it, reason)
		}
		return len(ready)
	}
	items := append([]*item(nil), ready...)
	halves := make([]StoredHalf, len(items))
	for i, it := range items {
		halves[i] = it.stored
	}
	b.s.broker.Commit(b.address, halves, b.s.cfg.CommitTimeout, func(i int, a Answer) {
		b.events <- event{it: items[i], answered: true, answer: a}
	})
	return 0
}

// handle takes in one answer or turn.
func (b *batch) handle(e event, ready []*item, open int) ([]*item, int) {
	switch {
	case e.it.verdict != 0: // called off before its turn came
		return ready, open
	case !e.answered && e.now:
		return append(ready, e.it), open
	case !e.answered:
		b.strike(e.it, ReasonPredecessor)
		return ready, open - 1
	}
	e.it.verdict, e.it.reason = JudgeCommit(e.answer, b.s.cfg.CommitTimeout)
	b.commits[e.it.reason]++
	if e.it.verdict == CommitDone {
		b.s.intake.confirmed(e.it)
		b.s.cfg.at(PointCommitFirst)
	} else {
		b.s.traces.sends.end(e.it, e.it.reason, time.Now())
		b.s.intake.breakLane(e.it)
	}
	return ready, open - 1
}

// strike marks an item whose commit was never sent.
func (b *batch) strike(it *item, reason Reason) {
	it.verdict, it.reason = CommitRefused, reason
	b.commits[reason]++
	b.s.intake.breakLane(it)
}

// callOff strikes the items that still wait for their turn, because the session is over.
func (b *batch) callOff() (struck int) {
	for _, it := range b.items {
		if it.verdict == 0 && b.s.intake.stopWaiting(it) {
			b.strike(it, ReasonSessionOver)
			struck++
		}
	}
	return struck
}
