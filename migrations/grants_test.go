package migrations_test

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
	"github.com/outbox-relay/outbox-relay/migrations"
)

// newRole makes a role whose name needs quoting.
func newRole(t *testing.T, servers *stacktest.Servers, name string) string {
	t.Helper()
	bits := make([]byte, 4)
	_, err := rand.Read(bits)
	require.NoError(t, err)
	name = `the "` + name + `" ` + hex.EncodeToString(bits)
	run := func(sql string) {
		conn, err := pgx.Connect(context.Background(), servers.Postgres())
		require.NoError(t, err)
		defer conn.Close(context.Background()) //nolint:errcheck // the statement succeeded or the test failed
		_, err = conn.Exec(context.Background(), sql)
		require.NoError(t, err)
	}
	run(`CREATE ROLE ` + quote(name) + ` LOGIN`)
	t.Cleanup(func() { run(`DROP ROLE ` + quote(name)) })
	return name
}

// What the relay's role may do is tested by internal/postgres, whose tests all run with it; here is what the roles may not.
func TestGrants(t *testing.T) {
	t.Parallel()
	const schema = `out"box`
	servers := stacktest.Shared(t)
	app, relay := newRole(t, servers, "app"), newRole(t, servers, "relay")
	url := servers.Database(t)
	_, err := migrations.Up(t.Context(), url, schema)
	require.NoError(t, err)
	forApp, forRelay, err := migrations.Grants(schema, app, relay)
	require.NoError(t, err)
	admin := connect(t, url, schema)
	exec(t, admin, forApp)
	exec(t, admin, forRelay)

	asApp, asRelay := connect(t, as(t, url, app), schema), connect(t, as(t, url, relay), schema)
	exec(t, asApp, `INSERT INTO outbox (topic, payload) VALUES ('t', 'x')`)
	refused(t, asApp, `INSERT INTO outbox (topic, payload) VALUES ('t', 'x') RETURNING id`)
	refused(t, asApp, `SELECT FROM outbox`)
	refused(t, asApp, `UPDATE outbox SET topic = 'u'`)
	refused(t, asApp, `DELETE FROM outbox`)
	refused(t, asApp, `TRUNCATE outbox`)
	for _, table := range []string{"outbox_lease", "outbox_attempt", "outbox_dead", "outbox_topic", "outbox_origin", "outbox_sent", "outbox_id_seq", "outbox_marker"} {
		refused(t, asApp, `SELECT FROM `+table)
	}

	// What stands in comments is for applications that use package txcheck.
	exec(t, admin, strings.ReplaceAll(forApp, "\n-- GRANT ", "\nGRANT "))
	exec(t, asApp, `INSERT INTO outbox_marker (id, committed) SELECT gen_random_uuid(), true FROM outbox_origin`)
	exec(t, asApp, `UPDATE outbox_marker SET asked_at = now()`)
	refused(t, asApp, `UPDATE outbox_marker SET committed = true`)
	exec(t, asApp, `DELETE FROM outbox_marker`)
	refused(t, asApp, `UPDATE outbox_origin SET origin = gen_random_uuid()`)

	require.NoError(t, migrations.Check(t.Context(), asRelay, schema))
	refused(t, asRelay, `SELECT FROM outbox_marker`)
	refused(t, asRelay, `INSERT INTO outbox (topic, payload) VALUES ('t', 'x')`)
	refused(t, asRelay, `UPDATE outbox SET payload = 'y'`)
	refused(t, asRelay, `UPDATE outbox SET topic = 'y'`)
	refused(t, asRelay, `TRUNCATE outbox`)
	refused(t, asRelay, `UPDATE outbox_attempt SET ids = '{}'`)
	refused(t, asRelay, `UPDATE outbox_topic SET on_dead = 'skip'`)
	refused(t, asRelay, `UPDATE outbox_dead SET reason = 'x'`)
	refused(t, asRelay, `DELETE FROM outbox_dead`)
	refused(t, asRelay, `UPDATE outbox_origin SET origin = gen_random_uuid()`)
	refused(t, asRelay, `SELECT setval('outbox_id_seq', 1)`)
	refused(t, asRelay, `CREATE TABLE mine (id int)`)
	refused(t, asRelay, `ALTER TABLE outbox SET (fillfactor = 50)`)

	_, _, err = migrations.Grants(schema, "", "relay")
	require.ErrorContains(t, err, "empty")
}

func refused(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	_, err := conn.Exec(t.Context(), sql)
	var pgErr *pgconn.PgError
	require.ErrorAs(t, err, &pgErr, sql)
	require.Equal(t, "42501", pgErr.Code, "%s: %v", sql, err)
}
