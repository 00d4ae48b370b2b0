package postgres

import (
	"context"
	"fmt"
	"time"
)

// Along outbox_attempt_closed, oldest first. Small chunks keep each transaction short, and vacuum gives the space to the
// attempts to come. SKIP LOCKED: two relays that purge at once do not wait for each other.
const sqlPurge = `
DELETE FROM {schema}.outbox_attempt WHERE id IN (
  SELECT id FROM {schema}.outbox_attempt
   WHERE closed_at < clock_timestamp() - $1::bigint * interval '1 microsecond'
   ORDER BY closed_at LIMIT $2 FOR UPDATE SKIP LOCKED)`

// Purge deletes closed attempts older than retention, at most limit of them, and returns how many.
func (s *Store) Purge(ctx context.Context, retention time.Duration, limit int) (int, error) {
	tag, err := s.pool.Exec(ctx, s.sql(sqlPurge), retention.Microseconds(), limit)
	if err != nil {
		return 0, fmt.Errorf("purge the ledger: %w", err)
	}
	return int(tag.RowsAffected()), nil
}
