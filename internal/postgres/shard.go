package postgres

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/outbox-relay/outbox-relay/internal/relay"
)

// The lock lets one session at a time change the lease table. It does not conflict with the ROW SHARE lock of the decisions'
// SELECT … FOR KEY SHARE, so taking shards stops nobody's work.
const sqlLockLeases = `LOCK TABLE {schema}.outbox_lease IN SHARE ROW EXCLUSIVE MODE`

// Runs after the lock as a statement of its own, so that it sees what was committed while the lock was waited for. A lease
// that has expired still holds its shards: only a DELETE of the lease frees them.
const sqlTakeShards = `
UPDATE {schema}.outbox_lease
   SET shards = shards | ($2::bigint & ~coalesce(
         (SELECT bit_or(other.shards) FROM {schema}.outbox_lease other WHERE other.session <> $1), 0))
 WHERE session = $1
RETURNING shards`

// TakeShards makes those of the wanted shards that no lease holds the session's own, and returns all that it owns now. It is
// committed when it returns; relay.ErrSessionOver if the lease is gone.
func (s *Store) TakeShards(ctx context.Context, id uuid.UUID, want uint64) (uint64, error) {
	batch := &pgx.Batch{}
	batch.Queue(`BEGIN`) // LOCK TABLE refuses to run in the implicit transaction of a pipeline
	batch.Queue(s.sql(sqlLockLeases))
	batch.Queue(s.sql(sqlTakeShards), id, int64(want))
	batch.Queue(`COMMIT`)
	var owned []int64
	err := s.pipeline(ctx, batch, func(results pgx.BatchResults) error {
		if _, err := results.Exec(); err != nil {
			return err
		}
		if _, err := results.Exec(); err != nil {
			return fmt.Errorf("lock the leases: %w", err)
		}
		rows, err := results.Query()
		if err != nil {
			return err
		}
		if owned, err = pgx.CollectRows(rows, pgx.RowTo[int64]); err != nil {
			return err
		}
		_, err = results.Exec()
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("take shards for session %s: %w", id, err)
	}
	if len(owned) == 0 {
		return 0, fmt.Errorf("take shards for session %s: %w", id, relay.ErrSessionOver)
	}
	return uint64(owned[0]), nil
}
