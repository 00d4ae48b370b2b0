package simtest

import (
	"strconv"
	"sync"
	"time"

	"github.com/outbox-relay/outbox-relay/internal/relay"
)

// memBroker is one master: a commit log, the half topic, and the queues of topics. What it has stored survives when it is
// down.
type memBroker struct {
	name    string
	address string
	w       *world
	rules   brokerRules
	delays  relay.Delays

	mu         sync.Mutex
	skew       time.Duration // of its clock
	cut        int           // how often all connections were
	halves     []storedHalf  // by offset in the half topic
	queues     map[relay.TopicQueue][]storedMessage
	position   int64     // of the commit log
	dispatched time.Time // when the dispatcher will have passed the last entry of the log
	downSince  time.Time // zero while it is up
}

// brokerRules are the rules that a mutant breaks. The zero value breaks none.
type brokerRules struct {
	noFence        bool // a commit after the window is accepted
	stallsLong     bool // a commit is written long after it was accepted
	readsShort     bool // a reading misses messages and says that it is complete
	saysDispatched bool // the dispatcher's position is made up
	losesSent      bool // 0 is answered to a plain message that is not stored
	endsAhead      bool // MaxOffsets answers an offset behind the end
	appliesRefused bool // code 2 is answered to a commit that is applied
	losesCommitted bool // 0 is answered to a commit that is not applied
	clockSetBack   bool // its clock is set back while commits are on their way to it
}

type storedHalf struct {
	relay.Half
	row       int64 // 0 = a barrier
	logOffset int64
	stored    time.Time // by the broker's clock
	passed    time.Time // when the dispatcher passes it
	gone      bool      // it leaves the log when its window is over
}

type storedMessage struct {
	uniqKey string
	passed  time.Time // when the dispatcher passes it; not readable before
	indexed bool
}

// transactionTimeOut is the shortest window that a broker keeps to (BrokerConfig.transactionTimeOut).
const transactionTimeOut = 6 * time.Second

// appendMargin is how long a broker stalls at most between accepting a commit and writing it.
const appendMargin = 5 * time.Second

func newMemBroker(w *world, name string, rules brokerRules) *memBroker {
	return &memBroker{
		name: name, address: name + ":10911", w: w, rules: rules, skew: w.chance.between(-9*time.Second, 1500*time.Millisecond),
		queues: make(map[relay.TopicQueue][]storedMessage), delays: someDelays(w),
	}
}

func (b *memBroker) setDown(down bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.w.trace.add("broker %s down: %v", b.name, down)
	b.downSince = time.Time{}
	if down {
		b.downSince = time.Now()
	}
}

func (b *memBroker) down() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.downSince.IsZero()
}

// answers reports what a client's circuit says: it opens a moment after the broker went down.
func (b *memBroker) answers() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.downSince.IsZero() || time.Since(b.downSince) < 500*time.Millisecond
}

// dispatchLater returns when the dispatcher, which is sequential, will have passed an entry that is appended now.
func (b *memBroker) dispatchLater() time.Time {
	lag := b.w.chance.between(0, 2*time.Millisecond)
	if b.w.chance.fault(0.02) {
		lag = b.w.chance.between(0, []time.Duration{time.Second, 3 * time.Second, 40 * time.Second}[b.w.chance.below(3)])
	}
	at := time.Now().Add(lag)
	if at.Before(b.dispatched) {
		at = b.dispatched
	}
	b.dispatched = at
	b.position += 256
	return at
}

// half stores a half, or refuses it.
func (b *memBroker) half(h relay.Half) relay.HalfAnswer {
	b.mu.Lock()
	defer b.mu.Unlock()
	row := rowOf(h)
	code, remark := b.halfCode(row)
	a := relay.HalfAnswer{Answer: relay.Answer{Code: code, Remark: remark}}
	if code != 0 && code != 10 && code != 11 && code != 12 {
		return a
	}
	s := storedHalf{Half: h, row: row, logOffset: b.position, stored: b.now(), passed: b.dispatchLater(), gone: b.w.chance.fault(0.01)}
	a.Stored, a.HalfOffset, a.LogOffset = true, int64(len(b.halves)), s.logOffset
	b.halves = append(b.halves, s)
	return a
}

// halfCode draws the answer to a half. It is called with the lock held.
func (b *memBroker) halfCode(row int64) (code int, remark string) {
	if row != 0 && b.w.audit.illegal(row) && b.w.chance.hit(0.7) { // the rule was changed, or brokers differ
		return 13, "the message is illegal"
	}
	if !b.w.chance.fault(0.02) {
		return 0, ""
	}
	refusals := []struct {
		code   int
		remark string
	}{
		{2, "[TIMEOUT_CLEAN_QUEUE]broker busy"},
		{10, ""},
		{11, ""},
		{12, ""},
		{14, "service not available"},
		{16, "no permission"},
		{17, "topic not exist"},
		{215, "flow control"},
		{1, "the in-sync replicas are not enough"},
		{1, "something else"},
		{208, "unlisted"},
	}
	r := refusals[b.w.chance.below(len(refusals))]
	return r.code, r.remark
}

// endTransaction commits or rolls back a half. False if there will be no answer.
func (b *memBroker) endTransaction(sh relay.StoredHalf, commit bool) (relay.Answer, bool) {
	b.mu.Lock()
	h, a := b.accept(sh, commit)
	b.mu.Unlock()
	if !commit || a.Code != 0 {
		return a, true
	}
	if b.rules.losesCommitted && b.w.chance.hit(0.02) {
		b.w.audit.dropped(h.UniqKey)
		return a, true
	}
	if b.w.chance.fault(0.02) {
		time.Sleep(b.w.chance.between(0, appendMargin-100*time.Millisecond))
		if b.rules.stallsLong {
			time.Sleep(2 * appendMargin)
		}
	}
	if b.down() && b.w.chance.hit(0.5) {
		b.w.audit.dropped(h.UniqKey)
		return relay.Answer{}, false // accepted, and lost with the crash
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	q := relay.TopicQueue{Topic: h.Topic, Queue: h.Queue}
	b.queues[q] = append(b.queues[q], storedMessage{uniqKey: h.UniqKey, passed: b.dispatchLater(), indexed: !b.w.chance.fault(0.3)})
	b.w.audit.appended(h.row, h.UniqKey, b.name, h.Queue)
	if b.rules.appliesRefused && b.w.chance.hit(0.02) {
		return relay.Answer{Code: 2, Remark: "busy"}, true
	}
	if b.w.chance.fault(0.01) {
		return relay.Answer{Code: 1, Remark: "an answer that nobody has listed"}, true
	}
	return a, true
}

// accept checks what the broker checks before it writes. A rollback removes nothing, and forbids no commit that comes later
// within the window. It is called with the lock held.
func (b *memBroker) accept(sh relay.StoredHalf, commit bool) (storedHalf, relay.Answer) {
	if b.w.chance.fault(0.01) {
		codes := []int{2, 11}
		return storedHalf{}, relay.Answer{Code: codes[b.w.chance.below(len(codes))], Remark: "dropped"}
	}
	if sh.HalfOffset < 0 || sh.HalfOffset >= int64(len(b.halves)) {
		return storedHalf{}, relay.Answer{Code: 1, Remark: "The transaction state table offset wrong"}
	}
	h := b.halves[sh.HalfOffset]
	if h.UniqKey != sh.UniqKey || h.logOffset != sh.LogOffset {
		return storedHalf{}, relay.Answer{Code: 1, Remark: "The commit log offset wrong"}
	}
	age := b.now().Sub(h.Born)
	over := age > max(h.Immunity, transactionTimeOut)
	if commit && b.rules.noFence {
		over = false
	}
	switch {
	case over && h.gone:
		return h, relay.Answer{Code: 1, Remark: "Find prepared transaction message failed"}
	case over:
		return h, relay.Answer{Code: 604, Remark: "the transaction check immunity time is over"}
	}
	if commit {
		b.w.trace.add("broker %s accepts the commit of %s as %s", b.name, rowWord(h.row), h.UniqKey)
		b.w.audit.accept(h.UniqKey)
	}
	return h, relay.Answer{}
}

// end returns the end of a queue: of what is readable.
func (b *memBroker) end(q relay.TopicQueue) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rules.endsAhead {
		return int64(len(b.queues[q])) + 3
	}
	return int64(len(b.readable(q)))
}

// readable returns the messages of a queue that the dispatcher has passed. It is called with the lock held.
func (b *memBroker) readable(q relay.TopicQueue) []storedMessage {
	messages := b.queues[q]
	n := len(messages)
	for n > 0 && messages[n-1].passed.After(time.Now()) {
		n--
	}
	return messages[:n]
}

// lookup asks the index, which misses some.
func (b *memBroker) lookup(topic, uniqKey string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for q := range b.queues {
		if q.Topic != topic {
			continue
		}
		for _, m := range b.readable(q) {
			if m.uniqKey == uniqKey && m.indexed {
				return true
			}
		}
	}
	return false
}

// read returns the UNIQ_KEYs of a queue from an offset to its end.
func (b *memBroker) read(q relay.TopicQueue, from int64) (keys []string, proof relay.ReadProof) {
	b.mu.Lock()
	defer b.mu.Unlock()
	messages := b.readable(q)
	if int64(len(messages)) < from {
		if b.rules.endsAhead {
			return nil, relay.ReadProof{Complete: true}
		}
		return nil, relay.ReadProof{Why: "the queue ends before the start"}
	}
	for i, m := range messages[from:] {
		if !b.rules.readsShort || i%2 == 1 {
			keys = append(keys, m.uniqKey)
		}
	}
	return keys, relay.ReadProof{Complete: true, Messages: len(keys)}
}

// storedAt reads a half back from the log.
func (b *memBroker) storedAt(sh relay.StoredHalf) (at time.Time, found bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if sh.HalfOffset < 0 || sh.HalfOffset >= int64(len(b.halves)) || b.halves[sh.HalfOffset].UniqKey != sh.UniqKey {
		return time.Time{}, false
	}
	return b.halves[sh.HalfOffset].stored, true
}

// isDispatched reports whether the dispatcher has passed a half.
func (b *memBroker) isDispatched(halfOffset int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.rules.saysDispatched || !b.halves[halfOffset].passed.After(time.Now())
}

// rowOf reads the row's id from the user properties, 0 if there is none.
func rowOf(h relay.Half) int64 {
	for _, p := range h.Properties {
		if p.Name == relay.PropertyID {
			id, err := strconv.ParseInt(p.Value, 10, 64)
			if err == nil {
				return id
			}
		}
	}
	return 0
}
