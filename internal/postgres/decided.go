package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/outbox-relay/outbox-relay/internal/relay"
)

// Before the first id is handed out, last_value is the first value and is_called is false.
const sqlAllocated = `SELECT last_value - CASE WHEN is_called THEN 0 ELSE 1 END FROM {schema}.outbox_id_seq`

// Whoever inserts into the outbox takes RowExclusiveLock on it before it is given an id, and keeps it to the end of its
// transaction. Prepared transactions are shown without a pid and count; this session does not. Relays show up too while they
// delete or put off rows; that is short.
//
// A transaction that has written holds a lock on its own id, and one on that of each subtransaction; the lowest is the one that
// snapshots know. pg_locks has its lower 32 bits; 2^30 above the newest completed one is far enough to be above any that runs.
// One scan, because it stops all locking for a moment, and so that both locks are of one instant.
const sqlWriters = `
SELECT virtualtransaction, coalesce(min(above.xid - ((above.xid - transactionid::text::bigint) & 4294967295)), 0), bool_or(pid IS NULL)
  FROM pg_locks, (SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint + 1073741824 AS xid) above
 WHERE (locktype = 'relation' AND relation = $1::text::regclass
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND mode = 'RowExclusiveLock'
        OR locktype = 'transactionid' AND mode = 'ExclusiveLock')
   AND granted AND pid IS DISTINCT FROM pg_backend_pid()
 GROUP BY virtualtransaction HAVING bool_or(locktype = 'relation')`

// Decided samples the identity sequence first and the writers second. The other way round, a transaction that begins between
// the two could hold an id that is counted and not be among the writers.
func (s *Store) Decided(ctx context.Context) (relay.Decided, error) {
	batch := &pgx.Batch{}
	batch.Queue(s.sql(sqlAllocated))
	batch.Queue(s.sql(sqlWriters), s.schema+".outbox")
	var d relay.Decided
	err := s.pipeline(ctx, batch, func(results pgx.BatchResults) error {
		if err := results.QueryRow().Scan(&d.Allocated); err != nil {
			return err
		}
		rows, err := results.Query()
		if err != nil {
			return err
		}
		var w relay.Writer
		_, err = pgx.ForEachRow(rows, []any{&w.Name, &w.XID, &w.Prepared}, func() error {
			d.Writers = append(d.Writers, w)
			return nil
		})
		return err
	})
	if err != nil {
		return relay.Decided{}, fmt.Errorf("sample how far the outbox is decided: %w", err)
	}
	return d, nil
}
