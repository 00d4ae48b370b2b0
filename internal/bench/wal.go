package bench

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// walMark is a position in PostgreSQL's log.
func walMark(ctx context.Context, db *pgx.Conn) string {
	var lsn string
	if db.QueryRow(ctx, "SELECT pg_current_wal_insert_lsn()::text").Scan(&lsn) != nil {
		return "" // Some role may not ask, and then it is not reported.
	}
	return lsn
}

// addWAL adds what was written since the mark, for each of n rows. Full-page images are told apart where the extension
// pg_walinspect can be had (PostgreSQL 15 and up, a superuser).
func addWAL(ctx context.Context, db *pgx.Conn, from string, n int, v Values) {
	to := walMark(ctx, db)
	if from == "" || to == "" {
		return
	}
	var all float64
	if db.QueryRow(ctx, "SELECT ($1::text::pg_lsn - $2::text::pg_lsn)::float8", to, from).Scan(&all) != nil {
		return
	}
	v[WAL] = all / float64(n)
	if _, err := db.Exec(ctx, "CREATE EXTENSION IF NOT EXISTS pg_walinspect"); err != nil {
		return
	}
	var images float64
	err := db.QueryRow(ctx, "SELECT coalesce(sum(fpi_size), 0)::float8 FROM pg_get_wal_stats($1::text::pg_lsn, $2::text::pg_lsn)", from, to).Scan(&images)
	if err != nil {
		return // For example because the log has been recycled since.
	}
	v[WAL] = (all - images) / float64(n)
	v[WALImages] = images / float64(n)
}

// addSizes adds what the tables take on the disk.
func (p *place) addSizes(ctx context.Context, v Values) {
	var outbox, ledger float64
	err := p.db.QueryRow(ctx, "SELECT pg_total_relation_size('outbox')::float8, pg_total_relation_size('outbox_attempt')::float8").Scan(&outbox, &ledger)
	if err == nil {
		v[TableSize], v[LedgerSize] = outbox/megabyte, ledger/megabyte
	}
}
