package postgres

import (
	"errors"
	"fmt"

	"github.com/outbox-relay/outbox-relay/internal/relay"
)

// ledgerArrays are the array columns of a ledger row: an attempt turned by 90 degrees, because parallel arrays of numbers
// take 15 bytes a message on disk and plain SQL can read them.
type ledgerArrays struct {
	topics       []string
	queues       []int32
	readFrom     []int64
	ids          []int64
	targets      []int16 // from 1
	indexes      []int16 // nil where the index is the entry's number
	shard        []int16
	halfOffsets  []int64  // nil where there are no halves
	logOffsets   []int64  // likewise
	orderingKeys []string // nil where no entry has one
	dedupKeys    []string // nil where no entry has one
	mask         uint64
}

// newLedgerArrays refuses an attempt that could not be read back: without entries, or with numbers that do not fit.
func newLedgerArrays(a *relay.Attempt) (*ledgerArrays, error) {
	n := len(a.Entries)
	if n == 0 {
		return nil, errors.New("the attempt has no entries")
	}
	if n > 1<<15 || len(a.Targets) > 1<<15-1 {
		return nil, fmt.Errorf("the attempt has %d entries and %d targets; 32,768 and 32,767 fit", n, len(a.Targets))
	}
	l := &ledgerArrays{
		ids: make([]int64, n), targets: make([]int16, n), shard: make([]int16, n),
	}
	if a.Way == relay.WayHalf {
		l.halfOffsets, l.logOffsets = make([]int64, n), make([]int64, n)
	}
	for _, t := range a.Targets {
		l.topics = append(l.topics, t.Topic)
		l.queues = append(l.queues, int32(t.Queue))
		l.readFrom = append(l.readFrom, t.ReadFrom)
	}
	for i := range a.Entries {
		if err := l.set(i, &a.Entries[i]); err != nil {
			return nil, err
		}
	}
	return l, nil
}

func (l *ledgerArrays) set(i int, e *relay.Entry) error {
	if e.Target < 0 || e.Target >= len(l.topics) || e.Index < 0 || e.Index >= 1<<15 || e.Shard < 0 || e.Shard > 63 {
		return fmt.Errorf("entry %d: target %d, index %d or shard %d is out of range", i, e.Target, e.Index, e.Shard)
	}
	l.ids[i], l.shard[i] = e.Row, e.Shard
	if l.halfOffsets != nil {
		l.halfOffsets[i], l.logOffsets[i] = e.HalfOffset, e.LogOffset
	}
	l.targets[i] = int16(e.Target) + 1
	l.mask |= 1 << e.Shard
	n := len(l.ids)
	if l.indexes == nil && e.Index != i {
		l.indexes = make([]int16, n)
		for j := range i {
			l.indexes[j] = int16(j)
		}
	}
	if l.indexes != nil {
		l.indexes[i] = int16(e.Index)
	}
	l.orderingKeys = setKey(l.orderingKeys, n, i, e.OrderingKey)
	l.dedupKeys = setKey(l.dedupKeys, n, i, e.DedupKey)
	return nil
}

// setKey makes the array only when the first key needs it: most attempts have none.
func setKey(keys []string, n, i int, key string) []string {
	if key == "" {
		return keys
	}
	if keys == nil {
		keys = make([]string, n)
	}
	keys[i] = key
	return keys
}

func (l *ledgerArrays) attemptTargets() ([]relay.Target, error) {
	if len(l.queues) != len(l.topics) || len(l.readFrom) != len(l.topics) {
		return nil, errors.New("the arrays of its targets differ in length")
	}
	targets := make([]relay.Target, len(l.topics))
	for t := range targets {
		targets[t] = relay.Target{Topic: l.topics[t], Queue: int(l.queues[t]), ReadFrom: l.readFrom[t]}
	}
	return targets, nil
}

// entry reads back what set wrote.
func (l *ledgerArrays) entry(n int) (relay.Entry, error) {
	whole := len(l.targets) > n && len(l.shard) > n &&
		(l.halfOffsets == nil || len(l.halfOffsets) > n) && (l.logOffsets == nil || len(l.logOffsets) > n) &&
		(l.indexes == nil || len(l.indexes) > n) && (l.orderingKeys == nil || len(l.orderingKeys) > n) &&
		(l.dedupKeys == nil || len(l.dedupKeys) > n)
	if !whole {
		return relay.Entry{}, errors.New("the arrays of its entries differ in length")
	}
	e := relay.Entry{
		Index: n, Row: l.ids[n], Shard: l.shard[n], Target: int(l.targets[n]) - 1,
	}
	if l.halfOffsets != nil && l.logOffsets != nil {
		e.HalfOffset, e.LogOffset = l.halfOffsets[n], l.logOffsets[n]
	}
	if e.Target < 0 || e.Target >= len(l.topics) || e.Shard < 0 || e.Shard > 63 {
		return relay.Entry{}, fmt.Errorf("entry %d: target %d or shard %d is out of range", n, e.Target, e.Shard)
	}
	if l.indexes != nil {
		if e.Index = int(l.indexes[n]); e.Index < 0 {
			return relay.Entry{}, fmt.Errorf("entry %d: index %d is out of range", n, e.Index)
		}
	}
	if l.orderingKeys != nil {
		e.OrderingKey = l.orderingKeys[n]
	}
	if l.dedupKeys != nil {
		e.DedupKey = l.dedupKeys[n]
	}
	return e, nil
}
