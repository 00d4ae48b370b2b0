package outbox

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"
)

// WriteSQL is [Write] for database/sql, with any driver for PostgreSQL that takes placeholders like $1 (pgx's stdlib,
// lib/pq). Up to 7,281 messages cost one round trip, or what the driver makes of one statement with arguments.
func WriteSQL(ctx context.Context, tx *sql.Tx, messages ...Message) error {
	return Writer{}.WriteSQL(ctx, tx, messages...)
}

const (
	columns       = 9
	maxParameters = 65_535 // of one statement: the protocol counts them in 16 bits
	maxRows       = maxParameters / columns
)

// WriteSQL is [WriteSQL] for the Writer's table.
func (w Writer) WriteSQL(ctx context.Context, tx *sql.Tx, messages ...Message) error {
	if len(messages) == 0 {
		return nil
	}
	if tx == nil {
		return errNoTx
	}
	all, err := w.Rules.rows(ctx, messages)
	if err != nil {
		return err
	}
	for len(all) > 0 {
		n := min(len(all), maxRows)
		if _, err := tx.ExecContext(ctx, insertValues(w.table(), n), values(all[:n])...); err != nil {
			return fmt.Errorf("insert %d outbox rows: %w", n, err)
		}
		all = all[n:]
	}
	return nil
}

// insertValues returns an INSERT of n rows. Arrays would be one statement for any n, but each driver passes them its own
// way. The casts are for drivers that put arguments into the text.
func insertValues(table string, n int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "INSERT INTO %s (topic, tag, keys, ordering_key, dedup_key, headers, payload, available_at, deliver_at) VALUES ", table)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		p := i * columns
		fmt.Fprintf(&b, "($%d::text,$%d::text,$%d::text,$%d::text,$%d::text,$%d::jsonb,$%d::bytea,$%d::timestamptz,$%d::timestamptz)",
			p+1, p+2, p+3, p+4, p+5, p+6, p+7, p+8, p+9)
	}
	return b.String()
}

// values returns the arguments of insertValues.
func values(all []row) []any {
	args := make([]any, 0, len(all)*columns)
	for _, r := range all {
		args = append(args, r.topic, nullText(r.tag), nullText(r.keys), nullText(r.orderingKey), nullText(r.dedupKey),
			nullText(r.headers), r.payload, nullTime(r.availableAt), nullTime(r.deliverAt))
	}
	return args
}

func nullText(s string) sql.NullString { return sql.NullString{String: s, Valid: s != ""} }

func nullTime(t *time.Time) sql.NullTime {
	if t == nil {
		return sql.NullTime{}
	}
	return sql.NullTime{Time: *t, Valid: true}
}
