package simtest

import (
	"cmp"
	"slices"
	"time"

	"github.com/outbox-relay/outbox-relay/internal/relay"
)

// Reading, as statements with a snapshot of one instant.

func (s *memStore) readFresh(q relay.FreshQuery) (rows []relay.Row, complete bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	running := make(map[int64]bool)
	for _, xid := range s.writers {
		running[xid] = true
	}
	complete = s.rules.noGuard || !slices.ContainsFunc(q.Guard, func(xid int64) bool { return !running[xid] })
	excluded := setOf(q.Exclude)
	var found []*memRow
	for _, r := range s.outbox {
		if r.ID > q.After && r.ID <= q.UpTo && r.available.IsZero() && s.readable(r, q.Shards, q.Topics, excluded) {
			found = append(found, r)
		}
	}
	slices.SortFunc(found, func(a, b *memRow) int { return cmp.Compare(a.ID, b.ID) })
	return firstRows(found, q.Limit, q.Bytes), complete
}

func (s *memStore) readDue(q relay.DueQuery) []relay.Row {
	s.mu.Lock()
	defer s.mu.Unlock()
	excluded := setOf(q.Exclude)
	var found []*memRow
	for _, r := range s.outbox {
		if !r.available.IsZero() && !r.available.After(time.Now()) && s.readable(r, q.Shards, q.Topics, excluded) {
			found = append(found, r)
		}
	}
	slices.SortFunc(found, func(a, b *memRow) int {
		return cmp.Or(a.available.Compare(b.available), cmp.Compare(a.ID, b.ID))
	})
	return firstRows(found, q.Limit, q.Bytes)
}

func (s *memStore) readable(r *memRow, shards uint64, topics []string, excluded map[int64]bool) bool {
	return r.committed && shards>>r.Shard&1 == 1 && slices.Contains(topics, r.Topic) && !excluded[r.ID]
}

// firstRows cuts a result at its limits; the row that reaches the limit of bytes is the last.
func firstRows(found []*memRow, limit int, most int64) []relay.Row {
	var rows []relay.Row
	var bytes int64
	for _, r := range found {
		if len(rows) == limit || bytes >= max(most, 1) {
			break
		}
		rows = append(rows, r.Row)
		bytes += int64(len(r.Payload))
	}
	return rows
}

func setOf(ids []int64) map[int64]bool {
	set := make(map[int64]bool, len(ids))
	for _, id := range ids {
		set[id] = true
	}
	return set
}

// allocated and inserting are the two samples of Decided; the second is taken after the first.
func (s *memStore) allocated() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seq
}

func (s *memStore) inserting() []relay.Writer {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rules.noWriters {
		return nil
	}
	var writers []relay.Writer
	for tx, xid := range s.writers {
		writers = append(writers, relay.Writer{Name: tx, XID: xid})
	}
	return writers
}

func (s *memStore) backlog() relay.Backlog {
	s.mu.Lock()
	defer s.mu.Unlock()
	return relay.Backlog{Rows: int64(len(s.outbox)), Dead: int64(len(s.dead))}
}
