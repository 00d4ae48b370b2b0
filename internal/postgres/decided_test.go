package postgres_test

import (
	"log/slog"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/postgres"
	"github.com/outbox-relay/outbox-relay/internal/relay"
	"github.com/outbox-relay/outbox-relay/internal/stack"
	"github.com/outbox-relay/outbox-relay/migrations"
)

func (o *outbox) sample() relay.Decided {
	o.t.Helper()
	d, err := o.Decided(o.t.Context())
	require.NoError(o.t, err)
	return d
}

// begin begins a transaction of the application that has run a statement.
func (o *outbox) begin(sql string) pgx.Tx {
	o.t.Helper()
	tx, err := o.app.Begin(o.t.Context())
	require.NoError(o.t, err)
	o.t.Cleanup(func() { _ = tx.Rollback(o.t.Context()) })
	_, err = tx.Exec(o.t.Context(), sql)
	require.NoError(o.t, err)
	return tx
}

const insertOne = `INSERT INTO outbox (topic, payload) VALUES ('orders', 'x')`

func TestDecidedOfAnUnusedOutbox(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	require.Equal(t, relay.Decided{Allocated: 0}, o.sample())
	o.insert(1)
	require.Equal(t, relay.Decided{Allocated: 1}, o.sample())
}

// A small id that is committed late is never passed: as long as its transaction runs, the sample names it.
func TestDecidedDoesNotPassALateCommit(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	late := o.begin(insertOne)
	o.insert(3)
	first := o.sample()
	require.Equal(t, int64(4), first.Allocated)
	require.Len(t, first.Writers, 1)

	young := o.begin(insertOne)
	second := o.sample()
	require.Equal(t, int64(5), second.Allocated)
	require.Len(t, second.Writers, 2)
	require.Contains(t, second.Writers, first.Writers[0])

	require.NoError(t, late.Commit(t.Context()))
	third := o.sample()
	require.NotContains(t, third.Writers, first.Writers[0], "now all ids up to 4 are decided")
	require.Equal(t, []int64{1, 2, 3, 4}, o.pending())
	require.NoError(t, young.Rollback(t.Context()))
	require.Equal(t, relay.Decided{Allocated: 5}, o.sample())
}

// A writer is named before it has an id: between its lock and its first row.
func TestDecidedNamesAWriterWithoutAnID(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	o.begin(`INSERT INTO outbox (topic, payload) SELECT 'orders', 'x' WHERE false`)
	d := o.sample()
	require.Equal(t, int64(0), d.Allocated)
	require.Len(t, d.Writers, 1)
}

// Only who writes to this outbox holds it up, not a long report or a business transaction, nor an outbox beside it.
func TestDecidedIgnoresTheRest(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	o.exec(`CREATE TABLE orders (id bigint)`)
	o.exec(`GRANT INSERT ON orders TO PUBLIC`)
	o.exec(`CREATE SCHEMA beside; GRANT USAGE ON SCHEMA beside TO PUBLIC; CREATE TABLE beside.outbox (id bigint);
		GRANT INSERT ON beside.outbox TO PUBLIC`)
	o.begin(`INSERT INTO orders VALUES (1)`)
	o.begin(`INSERT INTO beside.outbox VALUES (1)`)
	reading, err := o.admin.BeginTx(t.Context(), pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	require.NoError(t, err)
	defer reading.Rollback(t.Context()) //nolint:errcheck // only read
	_, err = reading.Exec(t.Context(), `SELECT count(*) FROM outbox`)
	require.NoError(t, err)
	require.Empty(t, o.sample().Writers)
}

// A prepared transaction has no backend, and holds its ids all the same.
func TestDecidedNamesPreparedTransactions(t *testing.T) {
	t.Parallel()
	server, err := stack.StartPostgres(t.Context(), stack.Options{
		PostgresConfig: map[string]string{"max_prepared_transactions": "2"}, Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	url := server.URL("postgres")
	_, err = migrations.Up(t.Context(), url, schema)
	require.NoError(t, err)
	o := &outbox{t: t, relayURL: url, admin: open(t, url), app: open(t, url)}
	o.Store = postgres.New(open(t, url), schema)

	tx := o.begin(insertOne)
	_, err = tx.Exec(t.Context(), `PREPARE TRANSACTION 'in doubt'`)
	require.NoError(t, err)
	d := o.sample()
	require.Equal(t, int64(1), d.Allocated)
	require.Len(t, d.Writers, 1)
	require.Equal(t, d, o.sample(), "the same name every time")
	o.exec(`COMMIT PREPARED 'in doubt'`)
	require.Empty(t, o.sample().Writers)
}
