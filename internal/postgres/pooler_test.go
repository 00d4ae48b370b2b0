package postgres_test

import (
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/pooler"
	"github.com/outbox-relay/outbox-relay/internal/postgres"
	"github.com/outbox-relay/outbox-relay/internal/relay"
	"github.com/outbox-relay/outbox-relay/internal/stack"
	"github.com/outbox-relay/outbox-relay/migrations"
)

// pooled returns the URL of the outbox's database through a pooler, for the superuser.
func (o *outbox) pooled(mode string) string {
	o.t.Helper()
	direct := o.admin.Config().ConnString()
	b, err := stack.StartPgBouncer(o.t.Context(), direct, mode, nil, stack.Options{})
	if errors.Is(err, stack.ErrNoPgBouncer) {
		o.t.Skip(err)
	}
	require.NoError(o.t, err)
	o.t.Cleanup(func() { require.NoError(o.t, b.Close()) })
	return b.URL(direct)
}

func TestThroughAPoolerOfSessions(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	url := o.pooled("session")
	o.exec(`ALTER DATABASE ` + quote(o.admin.Config().ConnConfig.Database) + ` SET synchronous_commit = 'off'`)
	_, err := migrations.Up(t.Context(), url, schema)
	require.NoError(t, err)
	pool, err := postgres.Open(t.Context(), postgres.Config{URL: url, Instance: "pod-1"})
	require.NoError(t, err)
	defer pool.Close()
	for name, want := range map[string]string{
		"synchronous_commit": "on", "search_path": "", "idle_in_transaction_session_timeout": "5s", "application_name": "outbox-relay/pod-1",
	} {
		var value string
		require.NoError(t, pool.QueryRow(t.Context(), `SELECT current_setting($1)`, name).Scan(&value), name)
		require.Equal(t, want, value, name)
	}
	o.Store = postgres.New(pool, schema)
	session := o.session("pod-1", all)
	ids := o.insert(3)
	a := o.decided(session, ids...)
	o.write(session, []relay.Closing{{Attempt: a.ID, All: true}})
	require.Empty(t, o.pending())
}

// It is refused before anything is set: the server session may be another client's next.
func TestThroughAPoolerOfTransactions(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	url := o.pooled("transaction")
	pool, err := postgres.Open(t.Context(), postgres.Config{URL: url})
	require.NoError(t, err)
	defer pool.Close()
	require.ErrorIs(t, postgres.New(pool, schema).Ping(t.Context()), pooler.ErrTransaction)
	for range 5 {
		client, err := pgx.Connect(t.Context(), url)
		require.NoError(t, err)
		value, err := client.PgConn().Exec(t.Context(), `SHOW enable_seqscan`).ReadAll()
		require.NoError(t, err)
		require.Equal(t, "on", string(value[0].Rows[0][0]))
		require.NoError(t, client.Close(t.Context()))
	}
}
