package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/outbox-relay/outbox-relay/internal/relay"
)

// Along the primary key, at most $1 rows: what it costs is bounded even when the relay was away for days. One scan: it
// steps over what was sent while PostgreSQL could not clean up.
const sqlPending = `
SELECT count(*), count(*) FILTER (WHERE NOT bound),
       (array_agg(DISTINCT left(topic, 200)) FILTER (WHERE NOT bound))[:5],
       least(coalesce(extract(epoch FROM clock_timestamp() - min(created_at) FILTER (WHERE isfinite(created_at))) * 1000000, 0), 9e15)::bigint
  FROM (SELECT topic, created_at, topic IN (SELECT topic FROM {schema}.outbox_topic) AND ($2::text[] IS NULL OR topic = ANY ($2)) AS bound
          FROM {schema}.outbox ORDER BY id LIMIT $1) o`

const sqlPendingPutOff = `
SELECT count(*)
  FROM (SELECT FROM {schema}.outbox WHERE available_at IS NOT NULL ORDER BY available_at, id LIMIT $1) o`

const sqlDead = `SELECT count(*) FROM (SELECT FROM {schema}.outbox_dead ORDER BY id LIMIT $1) d`

// Through outbox_attempt_open; there are never many open attempts.
const sqlInDoubt = `
SELECT coalesce(sum(coalesce(cardinality(open), cardinality(ids))), 0)::bigint,
       coalesce((extract(epoch FROM clock_timestamp() - min(decided_at)) * 1000000)::bigint, 0)
  FROM {schema}.outbox_attempt WHERE closed_at IS NULL`

// Backlog counts pending rows, at most limit of them, and returns the age of the oldest, by the database's clock.
// Unbound are those for topics that are not among topics, or, where that is nil, that no relay has bound.
func (s *Store) Backlog(ctx context.Context, limit int, topics []string) (relay.Backlog, error) {
	batch := &pgx.Batch{}
	batch.Queue(s.sql(sqlPending), limit, topics)
	batch.Queue(s.sql(sqlPendingPutOff), limit)
	batch.Queue(s.sql(sqlDead), limit)
	batch.Queue(s.sql(sqlInDoubt))
	var b relay.Backlog
	var oldest, open int64
	err := s.pipeline(ctx, batch, func(results pgx.BatchResults) error {
		if err := results.QueryRow().Scan(&b.Rows, &b.Unbound, &b.UnboundTopics, &oldest); err != nil {
			return err
		}
		if err := results.QueryRow().Scan(&b.PutOff); err != nil {
			return err
		}
		if err := results.QueryRow().Scan(&b.Dead); err != nil {
			return err
		}
		return results.QueryRow().Scan(&b.OpenCount, &open)
	})
	if err != nil {
		return relay.Backlog{}, fmt.Errorf("count the backlog: %w", err)
	}
	b.Oldest = max(0, time.Duration(oldest)*time.Microsecond)
	b.OpenAge = max(0, time.Duration(open)*time.Microsecond)
	return b, nil
}
