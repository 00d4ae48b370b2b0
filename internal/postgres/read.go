package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/outbox-relay/outbox-relay/internal/relay"
)

// Along the primary key from the cursor, stopping at the limit: no sort, and no index entry below the cursor is touched
// again. The window function adds up payload sizes as the scan goes: the row that reaches the limit is the last, so a result
// below both limits is all there is. octet_length takes a large payload's size from its pointer, and only the payloads
// returned are fetched. The excluded ids are a hashed subplan: <> ALL of a parameter would be compared one by one with every
// row. Whether the guard held is asked of the snapshot of the rows themselves, once: any other look would be at another time.
const sqlReadFresh = `
SELECT id, created_at, shard, attempts, topic, coalesce(tag, ''), coalesce(keys, ''), coalesce(ordering_key, ''),
       coalesce(dedup_key, ''), headers::text, deliver_at, payload,
       NOT EXISTS (SELECT FROM unnest($7::bigint[]) xid WHERE pg_visible_in_snapshot(xid::text::xid8, pg_current_snapshot()))
  FROM (SELECT o.*, sum(octet_length(o.payload)) OVER w - octet_length(o.payload) AS before
          FROM {schema}.outbox o
         WHERE o.id > $1 AND o.available_at IS NULL AND ($2::bigint >> o.shard) & 1 = 1 AND o.topic = ANY ($3::text[])
           AND o.id NOT IN (SELECT unnest($4::bigint[]))
        WINDOW w AS (ORDER BY o.id ROWS UNBOUNDED PRECEDING)
         ORDER BY o.id LIMIT $5) r
 WHERE before < greatest($6::bigint, 1)
 ORDER BY id`

// ReadFresh returns rows that were never put off, in id order. If there are any, complete says whether every transaction of
// q.Guard was running in the snapshot that they were read in.
func (s *Store) ReadFresh(ctx context.Context, q relay.FreshQuery) (fresh []relay.Row, complete bool, err error) {
	rows, err := s.pool.Query(ctx, s.sql(sqlReadFresh),
		q.After, int64(q.Shards), q.Topics, exclude(q.Exclude), q.Limit, q.Bytes, q.Guard)
	if err != nil {
		return nil, false, fmt.Errorf("read fresh rows: %w", err)
	}
	complete = true
	if fresh, err = scanRows(rows, &complete); err != nil {
		return nil, false, fmt.Errorf("read fresh rows: %w", err)
	}
	return fresh, complete, nil
}

// Along outbox_retry, which holds only rows that were put off; otherwise as sqlReadFresh.
const sqlReadDue = `
SELECT id, created_at, shard, attempts, topic, coalesce(tag, ''), coalesce(keys, ''), coalesce(ordering_key, ''),
       coalesce(dedup_key, ''), headers::text, deliver_at, payload
  FROM (SELECT o.*, sum(octet_length(o.payload)) OVER w - octet_length(o.payload) AS before
          FROM {schema}.outbox o
         WHERE o.available_at <= now() AND ($1::bigint >> o.shard) & 1 = 1 AND o.topic = ANY ($2::text[])
           AND o.id NOT IN (SELECT unnest($3::bigint[]))
        WINDOW w AS (ORDER BY o.available_at, o.id ROWS UNBOUNDED PRECEDING)
         ORDER BY o.available_at, o.id LIMIT $4) r
 WHERE before < greatest($5::bigint, 1)
 ORDER BY available_at, id`

// ReadDue returns rows whose available_at has passed, the longest due first.
func (s *Store) ReadDue(ctx context.Context, q relay.DueQuery) ([]relay.Row, error) {
	rows, err := s.pool.Query(ctx, s.sql(sqlReadDue),
		int64(q.Shards), q.Topics, exclude(q.Exclude), q.Limit, q.Bytes)
	if err != nil {
		return nil, fmt.Errorf("read due rows: %w", err)
	}
	due, err := scanRows(rows)
	if err != nil {
		return nil, fmt.Errorf("read due rows: %w", err)
	}
	return due, nil
}

// exclude keeps NULL out of NOT IN, which would exclude everything.
func exclude(ids []int64) []int64 {
	if ids == nil {
		return []int64{}
	}
	return ids
}

// scanRows takes what columns a query has beside those of a row as well.
func scanRows(rows pgx.Rows, more ...any) ([]relay.Row, error) {
	defer rows.Close()
	var read []relay.Row
	var deliverAt pgtype.Timestamptz
	for rows.Next() {
		read = append(read, relay.Row{})
		r := &read[len(read)-1]
		err := rows.Scan(append([]any{&r.ID, &r.CreatedAt, &r.Shard, &r.Attempts, &r.Topic, &r.Tag, &r.Keys, &r.OrderingKey,
			&r.DedupKey, &r.Headers, &deliverAt, &r.Payload}, more...)...)
		if err != nil {
			return nil, err
		}
		if deliverAt.Valid {
			r.DeliverAt = deliverAt.Time
		}
	}
	return read, rows.Err()
}
