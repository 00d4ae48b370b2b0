package relay

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// pauses keeps back the rows of a topic on a broker that said it cannot take them. When a pause is over one row is let
// through as a probe; its answer ends the pause or makes the next one longer.
type pauses struct {
	backoff Backoff
	count   atomic.Int64 // of paused
	mu      sync.Mutex
	paused  map[pauseKey]*pause // topic "" = the whole broker
	told    map[told]time.Time  // when rows of a topic that were put off were last in the log
}

type told struct {
	pauseKey
	reason Reason
}

// tellEvery bounds how often the log says the same about rows that are put off.
const tellEvery = time.Minute

type pauseKey struct{ broker, topic string }

type pause struct {
	reason   Reason
	failures int
	until    time.Time
	probing  bool // a probe is under way
}

// toCommit reports whether the pause is for commits that were refused: a half that is stored does not end it, nor its probe.
func (p *pause) toCommit() bool { return p.reason == ReasonWindowOver }

func newPauses(b Backoff) *pauses {
	return &pauses{backoff: b, paused: make(map[pauseKey]*pause), told: make(map[told]time.Time)}
}

// add pauses a topic on a broker, or makes its pause longer. It returns the wait, and whether this is news.
func (p *pauses) add(broker, topic string, reason Reason) (wait time.Duration, news bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := pauseKey{broker, topic}
	ps := p.paused[key]
	if ps == nil {
		ps = &pause{}
		p.paused[key] = ps
		p.count.Store(int64(len(p.paused)))
	} else if time.Now().Before(ps.until) && ps.reason == reason {
		return time.Until(ps.until), false // another row of the same batch
	}
	news = ps.reason != reason
	wait = p.backoff.Wait(ps.failures)
	ps.reason, ps.until, ps.probing = reason, time.Now().Add(wait), false
	ps.failures++
	return wait, news
}

// tell reports whether it is to be said again that rows of a topic are put off for a reason.
func (p *pauses) tell(broker, topic string, reason Reason) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	what := told{pauseKey{broker, topic}, reason}
	if last, known := p.told[what]; known && time.Since(last) < tellEvery {
		return false
	}
	p.told[what] = time.Now()
	return true
}

// clear ends a pause: the broker has stored a row. It reports whether there was one.
func (p *pauses) clear(broker, topic string) bool {
	if p.count.Load() == 0 {
		return false // the hot path: nothing is paused
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	ps, was := p.paused[pauseKey{broker, topic}]
	if !was || ps.toCommit() {
		return false
	}
	p.remove(pauseKey{broker, topic})
	return true
}

// committed ends the pause of a broker whose commits were refused, if one was confirmed; if none was, the batch may have
// been its probe, and another row may go. It reports whether a pause is over.
func (p *pauses) committed(broker string, confirmed bool) bool {
	if p.count.Load() == 0 {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	key := pauseKey{broker, ""}
	ps, was := p.paused[key]
	if !was || !ps.toCommit() {
		return false
	}
	ps.probing = false
	if confirmed {
		p.remove(key)
	}
	return confirmed
}

func (p *pauses) remove(key pauseKey) {
	delete(p.paused, key)
	p.count.Store(int64(len(p.paused)))
}

// open reports whether rows of the topic may go to the broker, were it only one as a probe.
func (p *pauses) open(broker, topic string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, ps := range p.of(broker, topic) {
		if ps.probing || time.Now().Before(ps.until) {
			return false
		}
	}
	return true
}

// admit lets one row through; after a pause it is the only one until it is answered.
func (p *pauses) admit(broker, topic string) bool {
	if p.count.Load() == 0 {
		return true
	}
	if !p.open(broker, topic) {
		return false
	}
	p.mark(broker, topic, true)
	return true
}

// withdraw ends a probe that came to no answer about its topic.
func (p *pauses) withdraw(broker, topic string) { p.mark(broker, topic, false) }

func (p *pauses) mark(broker, topic string, probing bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, ps := range p.of(broker, topic) {
		if probing || !ps.toCommit() {
			ps.probing = probing
		}
	}
}

// of returns the pauses that hold for a topic on a broker: its own, and that of the whole broker.
func (p *pauses) of(broker, topic string) []*pause {
	var found []*pause
	for _, key := range [2]pauseKey{{broker, topic}, {broker, ""}} {
		if ps := p.paused[key]; ps != nil {
			found = append(found, ps)
		}
	}
	return found
}

func (p *pauses) keys() []pauseKey {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Keys(p.paused))
}
