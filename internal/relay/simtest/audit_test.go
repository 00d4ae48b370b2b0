package simtest

import (
	"fmt"
	"sync"

	"github.com/outbox-relay/outbox-relay/internal/relay"
)

// audit knows what the application did with every row and sees every message that becomes visible. It is told by the store
// and the broker, under their locks, and tells nobody.
type audit struct {
	mu        sync.Mutex
	trace     *trace
	fates     map[int64]*fate
	last      map[relay.Key]visibleRow // the last visible row of each key
	visible   map[string]bool          // UNIQ_KEYs on a topic
	accepted  map[string]bool          // UNIQ_KEYs whose commit a broker has accepted
	withdrawn map[string]bool          // UNIQ_KEYs that were decided although an operator had removed their rows
	dead      map[relay.Key]int64      // the lowest dead row of each key whose topic blocks
	doubled   int                      // messages that are visible once more, of topics that are at least once
	violation string                   // the first
	words     []string                 // what the trace of the violation is about
}

// A fate is what the application, operators and the relay did with one row.
type fate struct {
	id        int64
	key       relay.Key
	illegal   bool // the broker or the relay refuses it until it is cured
	committed bool
	deleted   bool // by an operator
	blocks    bool // its key waits for it when it is dead
	lenient   bool // it may be on its topic more than once
	requeued  bool
	dead      bool
	copies    int
}

type visibleRow struct {
	id     int64
	broker string
	queue  int
}

func newAudit(t *trace) *audit {
	return &audit{
		trace: t, fates: make(map[int64]*fate), last: make(map[relay.Key]visibleRow),
		visible: make(map[string]bool), accepted: make(map[string]bool), withdrawn: make(map[string]bool), dead: make(map[relay.Key]int64),
	}
}

// violate notes a violation. Only the first counts: what follows it may follow from it.
func (a *audit) violate(format string, args ...any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.violateLocked(nil, format, args...)
}

func (a *audit) violateLocked(words []string, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	a.trace.add("VIOLATION: %s", text)
	if a.violation == "" {
		a.violation, a.words = text, words
	}
}

// violated returns the first violation, "" if there is none.
func (a *audit) violated() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.violation
}

func (a *audit) inserted(f fate) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fates[f.id] = &f
}

func (a *audit) committed(ids []int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, id := range ids {
		a.fates[id].committed = true
	}
}

// deleted notes that an operator removed rows, from the outbox or the dead letters.
func (a *audit) deleted(id int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fates[id].deleted = true
	a.revive(a.fates[id])
}

// requeued notes that an operator has cured a dead row and put it back.
func (a *audit) requeued(id int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fates[id].illegal, a.fates[id].requeued = false, true
	a.revive(a.fates[id])
}

func (a *audit) revive(f *fate) {
	f.dead = false
	if a.dead[f.key] != f.id {
		return
	}
	delete(a.dead, f.key)
	for _, other := range a.fates { // the next dead row of the key
		if other.dead && other.blocks && other.key == f.key && (a.dead[f.key] == 0 || other.id < a.dead[f.key]) {
			a.dead[f.key] = other.id
		}
	}
}

func (a *audit) illegal(id int64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	f := a.fates[id]
	return f != nil && f.illegal
}

// buried notes that a row went to the dead letters.
func (a *audit) buried(id int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f := a.fates[id]
	about := []string{rowWord(id)}
	if !f.illegal {
		a.violateLocked(about, "%s is dead, and nothing is wrong with it", rowWord(id))
	}
	if f.copies > 0 && !f.lenient {
		a.violateLocked(about, "%s is dead, and on its topic", rowWord(id))
	}
	f.dead = true
	if f.blocks && f.key != (relay.Key{}) && (a.dead[f.key] == 0 || id < a.dead[f.key]) {
		a.dead[f.key] = id
	}
}

// decided notes a decision.
func (a *audit) decided(id int64, uniqKey string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if f := a.fates[id]; f.deleted && f.copies == 0 {
		a.withdrawn[uniqKey] = true
	}
}

// accept notes that a broker has accepted a commit: its message may become visible from now on.
func (a *audit) accept(uniqKey string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.accepted[uniqKey] = true
}

// dropped notes that a broker has accepted a commit, and crashed before it wrote the message.
func (a *audit) dropped(uniqKey string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.accepted, uniqKey)
}

// appended judges a message that has become visible.
func (a *audit) appended(id int64, uniqKey, broker string, queue int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.trace.add("%s is visible as %s on %s/%d", rowWord(id), uniqKey, broker, queue)
	a.visible[uniqKey] = true
	f := a.fates[id]
	if f == nil {
		a.violateLocked(nil, "a message is visible that is of no row: %s", uniqKey)
		return
	}
	f.copies++
	about := []string{rowWord(id)}
	switch {
	case !f.committed:
		a.violateLocked(about, "%s is visible, and the application has not committed it", rowWord(id))
	case f.copies > 1 && f.lenient:
		a.doubled++
		return // only the first counts for the order
	case f.copies > 1:
		a.violateLocked(about, "%s is visible %d times", rowWord(id), f.copies)
	case a.withdrawn[uniqKey]:
		a.violateLocked(about, "%s is visible, and was removed before it was decided", rowWord(id))
	case f.dead && !f.lenient:
		a.violateLocked(about, "%s is visible, and dead", rowWord(id))
	}
	a.order(f, visibleRow{id: id, broker: broker, queue: queue}, about)
}

func (a *audit) order(f *fate, now visibleRow, about []string) {
	if f.key == (relay.Key{}) || f.requeued && !f.blocks {
		return // the rows of its key have not waited for it
	}
	before, seen := a.last[f.key]
	a.last[f.key] = now
	if blocking := a.dead[f.key]; blocking != 0 && blocking < f.id {
		a.violateLocked(append(about, rowWord(blocking)), "%s is visible before the dead %s of its key %v", rowWord(f.id), rowWord(blocking), f.key)
	}
	if !seen {
		return
	}
	if before.id > f.id {
		for _, other := range a.fates {
			if other.key == f.key {
				about = append(about, rowWord(other.id))
			}
		}
		a.violateLocked(about, "%s is visible after %s of its key %v", rowWord(f.id), rowWord(before.id), f.key)
	}
	if before.broker != now.broker || before.queue != now.queue {
		a.violateLocked(about, "key %v moved from queue %s/%d to %s/%d", f.key, before.broker, before.queue, now.broker, now.queue)
	}
}

// settled judges an entry whose row is being deleted.
func (a *audit) settled(id int64, uniqKey string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.visible[uniqKey] {
		a.violateLocked([]string{rowWord(id), uniqKey}, "%s is deleted, and %s is not on its topic", rowWord(id), uniqKey)
	}
}

// struck judges an entry whose row is pending again.
func (a *audit) struck(id int64, uniqKey string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if f := a.fates[id]; a.accepted[uniqKey] && !f.lenient {
		a.violateLocked([]string{rowWord(id), uniqKey}, "%s is struck, and %s was committed", rowWord(id), uniqKey)
	}
}

// complaints lists what keeps a run from being complete: rows that should be on their topics and are not.
func (a *audit) complaints() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var missing []string
	for _, f := range a.fates {
		if f.committed && !f.deleted && f.copies == 0 && !f.dead && !a.blocked(f) {
			missing = append(missing, fmt.Sprintf("%s of key %v is not on its topic", rowWord(f.id), f.key))
		}
	}
	return missing
}

// blocked reports whether a row waits behind a dead one.
func (a *audit) blocked(f *fate) bool {
	blocking := a.dead[f.key]
	return f.key != (relay.Key{}) && blocking != 0 && blocking < f.id
}

// mayRemain reports whether a row may be in the outbox at the end.
func (a *audit) mayRemain(id int64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.blocked(a.fates[id])
}

// counts returns how many rows were committed, how many messages are visible and how many rows are dead.
func (a *audit) counts() (committed, visible, dead int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, f := range a.fates {
		if f.committed {
			committed++
		}
		if f.dead {
			dead++
		}
		visible += f.copies
	}
	return committed, visible, dead
}

func rowWord(id int64) string { return fmt.Sprintf("row#%d#", id) }
