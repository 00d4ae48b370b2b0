package outbox_test

import (
	"context"
	"database/sql"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/outbox"
)

// newSchema makes the outbox in a schema of its own and returns a configuration whose search path is that schema.
func newSchema(t *testing.T, prefix string) (config *pgx.ConnConfig, schema string) {
	t.Helper()
	config, err := pgx.ParseConfig(databaseURL)
	require.NoError(t, err)
	schema = prefix + strings.ReplaceAll(uuid.NewString(), "-", "")
	conn, err := pgx.ConnectConfig(t.Context(), config)
	require.NoError(t, err)
	defer func() { _ = conn.Close(t.Context()) }()
	quoted := pgx.Identifier{schema}.Sanitize()
	_, err = conn.Exec(t.Context(), "CREATE SCHEMA "+quoted)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		conn, err := pgx.ConnectConfig(ctx, config)
		require.NoError(t, err)
		defer func() { _ = conn.Close(ctx) }()
		_, err = conn.Exec(ctx, "DROP SCHEMA "+quoted+" CASCADE")
		require.NoError(t, err)
	})
	_, err = conn.Exec(t.Context(), "SET search_path TO "+quoted)
	require.NoError(t, err)
	migration, err := os.ReadFile("../migrations/0001_outbox.up.sql")
	require.NoError(t, err)
	_, err = conn.PgConn().Exec(t.Context(), string(migration)).ReadAll()
	require.NoError(t, err)

	own := config.Copy()
	own.RuntimeParams["search_path"] = quoted
	return own, schema
}

func connect(t *testing.T, config *pgx.ConnConfig) *pgx.Conn {
	t.Helper()
	conn, err := pgx.ConnectConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// stored is a row of the table, all of it that an application can write.
type stored struct {
	ID          int64
	Topic       string
	Tag         *string
	Keys        *string
	OrderingKey *string
	DedupKey    *string
	Headers     *string
	Payload     []byte
	AvailableAt *time.Time
	DeliverAt   *time.Time
}

func readAll(t *testing.T, config *pgx.ConnConfig, schema string) []stored {
	t.Helper()
	conn, err := pgx.ConnectConfig(t.Context(), config)
	require.NoError(t, err)
	defer func() { _ = conn.Close(t.Context()) }()
	rows, err := conn.Query(t.Context(),
		`SELECT id, topic, tag, keys, ordering_key, dedup_key, headers::text, payload, available_at, deliver_at FROM `+
			pgx.Identifier{schema, "outbox"}.Sanitize()+` ORDER BY id`)
	require.NoError(t, err)
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[stored])
	require.NoError(t, err)
	return all
}

// A way is one way of writing messages in a transaction; every rule must hold for each of them.
type way struct {
	name string
	// write writes messages in one transaction of their own and commits it.
	write func(ctx context.Context, config *pgx.ConnConfig, w outbox.Writer, messages ...outbox.Message) error
}

func ways() []way {
	var all []way
	for _, mode := range []pgx.QueryExecMode{
		pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec,
		pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol,
	} {
		name := strings.ReplaceAll(mode.String(), " ", "_")
		all = append(all,
			way{"pgx/" + name, func(ctx context.Context, config *pgx.ConnConfig, w outbox.Writer, messages ...outbox.Message) error {
				config = config.Copy()
				config.DefaultQueryExecMode = mode
				return writePgx(ctx, config, w, messages...)
			}},
			way{"sql/" + name, func(ctx context.Context, config *pgx.ConnConfig, w outbox.Writer, messages ...outbox.Message) error {
				config = config.Copy()
				config.DefaultQueryExecMode = mode
				return writeSQL(ctx, config, w, messages...)
			}})
	}
	return all
}

func writePgx(ctx context.Context, config *pgx.ConnConfig, w outbox.Writer, messages ...outbox.Message) error {
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error { return w.Write(ctx, tx, messages...) })
}

func writeSQL(ctx context.Context, config *pgx.ConnConfig, w outbox.Writer, messages ...outbox.Message) error {
	db := stdlib.OpenDB(*config)
	defer func() { _ = db.Close() }()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func(tx *sql.Tx) { _ = tx.Rollback() }(tx)
	if err := w.WriteSQL(ctx, tx, messages...); err != nil {
		return err
	}
	return tx.Commit()
}
