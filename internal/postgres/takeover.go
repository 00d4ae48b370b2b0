package postgres

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/outbox-relay/outbox-relay/internal/relay"
)

// What scanOpen reads.
const sqlOpen = `id, way, broker, address, born_at, window_s, topics, queues, read_from, ids, targets, indexes, shard, half_offsets,
       log_offsets, ordering_keys, dedup_keys, coalesce(open, '{}'), open IS NULL,
       (extract(epoch FROM clock_timestamp() - decided_at) * 1000000)::bigint,
       coalesce((extract(epoch FROM clock_timestamp() - refused_at) * 1000000)::bigint, 0), coalesce(refused_by, '')`

// Through outbox_attempt_open, which holds open attempts only.
const sqlOpenAttempts = `
SELECT ` + sqlOpen + `
  FROM {schema}.outbox_attempt
 WHERE closed_at IS NULL AND shards & $1::bigint <> 0
 ORDER BY decided_at, id`

// OpenAttempts returns the attempts that have open entries in shards, oldest first, with those entries only, whoever decided
// them. It must be called after TakeShards has returned: a decision of the former owner that took place until then is seen,
// and none can follow.
func (s *Store) OpenAttempts(ctx context.Context, shards uint64) ([]relay.OpenAttempt, error) {
	rows, err := s.pool.Query(ctx, s.sql(sqlOpenAttempts), int64(shards))
	if err != nil {
		return nil, fmt.Errorf("load open attempts: %w", err)
	}
	attempts, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (relay.OpenAttempt, error) {
		return scanOpen(row, shards)
	})
	if err != nil {
		return nil, fmt.Errorf("load open attempts: %w", err)
	}
	// A mask is wider than the entries that are still open: drop what has none.
	return slices.DeleteFunc(attempts, func(a relay.OpenAttempt) bool { return len(a.Entries) == 0 }), nil
}

// scanOpen reads an attempt with its open entries, and into more what else was selected.
func scanOpen(row pgx.CollectableRow, shards uint64, more ...any) (relay.OpenAttempt, error) {
	var a relay.OpenAttempt
	var id []byte
	var window int16
	var l ledgerArrays
	var open []int16
	var all bool
	var age, refused int64 // microseconds
	err := row.Scan(append([]any{
		&id, &a.Way, &a.Broker, &a.Address, &a.Born, &window, &l.topics, &l.queues, &l.readFrom, &l.ids, &l.targets,
		&l.indexes, &l.shard, &l.halfOffsets, &l.logOffsets, &l.orderingKeys, &l.dedupKeys, &open, &all, &age,
		&refused, &a.RefusedBy,
	}, more...)...)
	if err != nil {
		return a, err
	}
	if len(id) != len(a.ID) {
		return a, fmt.Errorf("attempt %x: the id has %d bytes, not %d", id, len(id), len(a.ID))
	}
	a.ID = relay.AttemptID(id)
	a.Window, a.Age = time.Duration(window)*time.Second, time.Duration(age)*time.Microsecond
	a.Refused = time.Duration(refused) * time.Microsecond
	if a.Targets, err = l.attemptTargets(); err != nil {
		return a, fmt.Errorf("attempt %x: %w", id, err)
	}
	for n := range l.ids {
		if !all && !slices.Contains(open, int16(n)) {
			continue
		}
		entry, err := l.entry(n)
		if err != nil {
			return a, fmt.Errorf("attempt %x: %w", id, err)
		}
		if shards>>entry.Shard&1 == 1 {
			a.Entries = append(a.Entries, entry)
			a.Positions = append(a.Positions, n)
		}
	}
	return a, nil
}

// A row that was put off blocks its key, whether or not its time has come: until it has been sent, no later row of the key
// may be. Dead rows block it where the topic's on_dead is block, which is also the default for a topic that has no row. All
// of them are named, because a key can have several: the first one's leaving does not free it. Along outbox_retry and
// outbox_dead_key; both hold little.
const sqlBlockedKeys = `
SELECT topic, ordering_key, shard, id, false AS dead
  FROM {schema}.outbox
 WHERE available_at IS NOT NULL AND ordering_key IS NOT NULL AND ordering_key <> ''
   AND ($1::bigint >> shard) & 1 = 1
UNION ALL
SELECT d.topic, d.ordering_key, d.shard, d.id, true
  FROM {schema}.outbox_dead d LEFT JOIN {schema}.outbox_topic t ON t.topic = d.topic
 WHERE d.ordering_key IS NOT NULL AND d.ordering_key <> '' AND ($1::bigint >> d.shard) & 1 = 1
   AND coalesce(t.on_dead, 'block') = 'block'`

// BlockedKeys returns the keys of shards of which rows were put off, or are dead while their topic's on_dead is block, once
// for each such row.
func (s *Store) BlockedKeys(ctx context.Context, shards uint64) ([]relay.BlockedKey, error) {
	rows, err := s.pool.Query(ctx, s.sql(sqlBlockedKeys), int64(shards))
	if err != nil {
		return nil, fmt.Errorf("load blocked keys: %w", err)
	}
	keys, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (relay.BlockedKey, error) {
		var b relay.BlockedKey
		err := row.Scan(&b.Key.Topic, &b.Key.Ordering, &b.Shard, &b.Row, &b.Dead)
		return b, err
	})
	if err != nil {
		return nil, fmt.Errorf("load blocked keys: %w", err)
	}
	return keys, nil
}

// One statement, so that a row on its way from the dead letters back to the outbox is seen in one of the two.
const sqlStillThere = `
SELECT id FROM {schema}.outbox_dead WHERE id = ANY ($1::bigint[])
UNION
SELECT id FROM {schema}.outbox WHERE id = ANY ($1::bigint[])
 ORDER BY id`

// StillThere returns those of ids that are in the dead letters or in the outbox, in order.
func (s *Store) StillThere(ctx context.Context, ids []int64) ([]int64, error) {
	rows, err := s.pool.Query(ctx, s.sql(sqlStillThere), ids)
	if err != nil {
		return nil, fmt.Errorf("look for rows: %w", err)
	}
	there, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, fmt.Errorf("look for rows: %w", err)
	}
	return there, nil
}
