package simtest

import (
	"hash/fnv"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/outbox-relay/outbox-relay/internal/relay"
)

// memStore is the outbox schema in memory. Every method is one transaction at READ COMMITTED: what it does, it does at one
// instant.
type memStore struct {
	mu       sync.Mutex
	audit    *audit
	trace    *trace
	rules    storeRules
	origin   uuid.UUID
	seq      int64 // outbox_id_seq
	outbox   map[int64]*memRow
	dead     map[int64]*memRow
	leases   map[uuid.UUID]*memLease
	attempts map[relay.AttemptID]*memAttempt
	topics   map[string]relay.Topic
	writers  map[string]int64 // transactions with RowExclusiveLock on outbox, and their XIDs
	xids     int64
}

// storeRules are the rules that a mutant breaks. The zero value breaks none.
type storeRules struct {
	decideWithoutLease bool // a decision does not look at the session's lease
	decideWithoutRows  bool // a decision does not look whether the rows exist
	shardsTwice        bool // shards are given to whoever asks
	noOpenAttempts     bool // what the last owner left open is not loaded
	onlyOfTheDead      bool // what a living session left open in shards that it gave up is not loaded
	noBlockedKeys      bool // the keys that must wait are not loaded
	buryWithoutLease   bool // put-offs and dead letters do not look at the lease
	noWriters          bool // open transactions are not seen, so that small ids may be passed
	noGuard            bool // reads count although a guarded writer has ended
	strikesSettle      bool // an entry that is struck is settled as well
}

// A memRow is a row of outbox or outbox_dead.
type memRow struct {
	relay.Row
	available time.Time // zero = NULL
	committed bool
}

type memLease struct {
	instance string
	shards   uint64
	expires  time.Time
}

// memAttempt is a row of outbox_attempt.
type memAttempt struct {
	relay.Attempt
	decided   time.Time
	session   uuid.UUID
	refused   time.Time // valid if refusedBy is not ""
	refusedBy string
	states    []entryState
}

type entryState int

const (
	entryOpen entryState = iota
	entrySettled
	entryStruck
)

func newMemStore(a *audit, t *trace, rules storeRules) *memStore {
	return &memStore{
		audit: a, trace: t, rules: rules, origin: uuid.New(),
		outbox: make(map[int64]*memRow), dead: make(map[int64]*memRow), leases: make(map[uuid.UUID]*memLease),
		attempts: make(map[relay.AttemptID]*memAttempt), topics: make(map[string]relay.Topic), writers: make(map[string]int64),
	}
}

// begin opens a transaction of the application: it holds the table's lock before it is given an id.
func (s *memStore) begin(tx string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.xids++
	s.writers[tx] = s.xids
}

// insert adds a row that nobody sees yet, and returns its id.
func (s *memStore) insert(tx string, r relay.Row, illegal bool) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seq++
	r.ID, r.CreatedAt = s.seq, time.Now()
	r.Shard = shardOf(&r)
	s.outbox[r.ID] = &memRow{Row: r}
	s.audit.inserted(fate{id: r.ID, key: r.Key(), blocks: r.Topic != topicSkip, lenient: !exact(r.Topic), illegal: illegal})
	s.trace.add("%s inserts %s of key %v", tx, rowWord(r.ID), r.Key())
	return r.ID
}

// commit makes the rows of a transaction visible; rollback removes them.
func (s *memStore) commit(tx string, ids []int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		s.outbox[id].committed = true
	}
	s.audit.committed(ids)
	delete(s.writers, tx)
	s.trace.add("%s commits %v", tx, ids)
}

func (s *memStore) rollback(tx string, ids []int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		delete(s.outbox, id)
	}
	delete(s.writers, tx)
	s.trace.add("%s rolls back %v", tx, ids)
}

// anyDead returns a dead row, 0 if there is none.
func (s *memStore) anyDead() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range s.dead {
		return id
	}
	return 0
}

// anyPending returns a committed row of the outbox, 0 if there is none.
func (s *memStore) anyPending() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, r := range s.outbox {
		if r.committed {
			return id
		}
	}
	return 0
}

// requeue puts a dead row back, as outbox-relay requeue does: due at once, under its old id.
func (s *memStore) requeue(id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.dead[id]
	if r == nil {
		return
	}
	delete(s.dead, id)
	r.available, r.Attempts = time.Now(), 0
	if len(r.Payload) == 0 {
		r.Payload = []byte("cured")
	}
	s.outbox[id] = r
	s.audit.requeued(id)
	s.trace.add("an operator requeues %s", rowWord(id))
}

// discard removes a dead row for good.
func (s *memStore) discard(id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead[id] == nil {
		return
	}
	delete(s.dead, id)
	s.audit.deleted(id)
	s.trace.add("an operator discards %s", rowWord(id))
}

// withdraw deletes a row from the outbox whatever the relay does with it at the moment; it may be published all the same.
func (s *memStore) withdraw(id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.outbox[id]; r == nil || !r.committed {
		return
	}
	delete(s.outbox, id)
	s.audit.deleted(id)
	s.trace.add("an operator withdraws %s", rowWord(id))
}

// remains lists what the tables hold that should be gone once everything is on its topic.
func (s *memStore) remains() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var remains []string
	for id := range s.outbox {
		if !s.audit.mayRemain(id) {
			remains = append(remains, rowWord(id)+" is in the outbox")
		}
	}
	for id, a := range s.attempts {
		for i, st := range a.states {
			if st == entryOpen {
				remains = append(remains, "entry "+strconv.Itoa(i)+" of attempt "+id.String()+" is open, of "+rowWord(a.Entries[i].Row))
			}
		}
	}
	return remains
}

// leased reports whether a session's lease stands.
func (s *memStore) leased(id uuid.UUID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stands(id)
}

// shardOf spreads rows over 64 shards by key, or by id, as the generated column does with another hash.
func shardOf(r *relay.Row) int16 {
	if r.OrderingKey == "" {
		return int16(r.ID & 63)
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(r.Topic + "\x01" + r.OrderingKey))
	return int16(h.Sum32() & 63)
}
