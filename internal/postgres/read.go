package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/outbox-relay/outbox-relay/internal/relay"
)

// A row as the relay takes it in. Whoever writes rows by hand can fill every column to a gigabyte: what is far too long to be
// published is cut, which is still too long, and so is refused without ever being in the relay's memory. created_at is only for
// measuring; a time without a number is taken for now.
const sqlRow = `id, CASE WHEN isfinite(created_at) THEN created_at ELSE now() END, shard, attempts, topic, coalesce(left(tag, 40000), ''),
       coalesce(left(keys, 40000), ''), coalesce(left(ordering_key, 40000), ''), coalesce(left(dedup_key, 40000), ''),
       left(headers::text, 300000), deliver_at,
       CASE WHEN octet_length(payload) > 4194305 THEN substring(payload FROM 1 FOR 4194305) ELSE payload END, octet_length(payload)`

// How many bytes of a payload a read returns.
const sqlSize = `least(octet_length(o.payload), 4194305)`

// Along the primary key from the cursor, stopping at the limit: no sort, and no index entry below the cursor is touched
// again. The window function adds up payload sizes as the scan goes: the row that reaches the limit is the last, so a result
// below both limits is all there is. octet_length takes a large payload's size from its pointer, and only the payloads
// returned are fetched. The excluded ids are a hashed subplan: <> ALL of a parameter would be compared one by one with every
// row. Whether the guard held is asked of the snapshot of the rows themselves, once: any other look would be at another time.
const sqlReadFresh = `
SELECT ` + sqlRow + `,
       NOT EXISTS (SELECT FROM unnest($7::bigint[]) xid WHERE pg_visible_in_snapshot(xid::text::xid8, pg_current_snapshot()))
  FROM (SELECT o.*, sum(` + sqlSize + `) OVER w - ` + sqlSize + ` AS before
          FROM {schema}.outbox o
         WHERE o.id > $1 AND o.id <= $8 AND o.available_at IS NULL AND ($2::bigint >> o.shard) & 1 = 1 AND o.topic = ANY ($3::text[])
           AND o.id NOT IN (SELECT unnest($4::bigint[]))
        WINDOW w AS (ORDER BY o.id ROWS UNBOUNDED PRECEDING)
         ORDER BY o.id LIMIT $5) r
 WHERE before < greatest($6::bigint, 1)
 ORDER BY id`

// ReadFresh returns rows that were never put off, in id order. If there are any, complete says whether every transaction of
// q.Guard was running in the snapshot that they were read in.
func (s *Store) ReadFresh(ctx context.Context, q relay.FreshQuery) (fresh []relay.Row, complete bool, err error) {
	rows, err := s.pool.Query(ctx, s.sql(sqlReadFresh),
		q.After, int64(q.Shards), q.Topics, exclude(q.Exclude), q.Limit, q.Bytes, q.Guard, q.UpTo)
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
SELECT ` + sqlRow + `
  FROM (SELECT o.*, sum(` + sqlSize + `) OVER w - ` + sqlSize + ` AS before
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

// never stands for a time without a number, which is not the same as no time.
var never = time.Date(294276, 12, 31, 0, 0, 0, 0, time.UTC)

// scanRows takes what columns a query has beside those of a row as well.
func scanRows(rows pgx.Rows, more ...any) ([]relay.Row, error) {
	defer rows.Close()
	var read []relay.Row
	var r relay.Row
	var deliverAt pgtype.Timestamptz
	columns := append([]any{
		&r.ID, &r.CreatedAt, &r.Shard, &r.Attempts, &r.Topic, &r.Tag, &r.Keys, &r.OrderingKey,
		&r.DedupKey, &r.Headers, &deliverAt, &r.Payload, &r.Size,
	}, more...)
	for rows.Next() {
		r = relay.Row{}
		if err := rows.Scan(columns...); err != nil {
			return nil, err
		}
		switch {
		case !deliverAt.Valid:
		case deliverAt.InfinityModifier == pgtype.Finite:
			r.DeliverAt = deliverAt.Time
		default:
			r.DeliverAt = never
		}
		read = append(read, r)
	}
	return read, rows.Err()
}
