package postgres

import (
	"context"
	"fmt"
	"math/bits"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/outbox-relay/outbox-relay/internal/relay"
)

const sqlStanding = `SELECT session, shards, expires_at > clock_timestamp() FROM {schema}.outbox_lease`

// Standing says how the shards are divided now. relay.ErrSessionOver if the lease is gone.
func (s *Store) Standing(ctx context.Context, id uuid.UUID) (relay.Standing, error) {
	var st relay.Standing
	rows, err := s.pool.Query(ctx, s.sql(sqlStanding))
	if err != nil {
		return st, fmt.Errorf("read how the shards are divided: %w", err)
	}
	var session uuid.UUID
	var shards int64
	var living, stands bool
	st.Free = ^uint64(0)
	_, err = pgx.ForEachRow(rows, []any{&session, &shards, &living}, func() error {
		st.Free &^= uint64(shards)
		switch {
		case session == id:
			st.Owned, stands = uint64(shards), true
		case living:
			st.Others = append(st.Others, bits.OnesCount64(uint64(shards)))
		default:
			st.Expired = true
		}
		return nil
	})
	switch {
	case err != nil:
		return relay.Standing{}, fmt.Errorf("read how the shards are divided: %w", err)
	case !stands:
		return relay.Standing{}, fmt.Errorf("read how the shards are divided: session %s: %w", id, relay.ErrSessionOver)
	}
	return st, nil
}

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

// It waits for whoever is taking shards, and the other way round.
const sqlGiveShards = `UPDATE {schema}.outbox_lease SET shards = shards & ~$2::bigint WHERE session = $1`

// GiveShards makes shards of the session nobody's. relay.ErrSessionOver if the lease is gone.
func (s *Store) GiveShards(ctx context.Context, id uuid.UUID, shards uint64) error {
	tag, err := s.pool.Exec(ctx, s.sql(sqlGiveShards), id, int64(shards))
	if err != nil {
		return fmt.Errorf("give shards of session %s up: %w", id, err)
	}
	if tag.RowsAffected() == 0 {
		return fmt.Errorf("give shards of session %s up: %w", id, relay.ErrSessionOver)
	}
	return nil
}
