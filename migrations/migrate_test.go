package migrations_test

import (
	"io/fs"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
	"github.com/outbox-relay/outbox-relay/migrations"
)

func TestUpDownUp(t *testing.T) {
	t.Parallel()
	for _, schema := range []string{"public", "outbox", `It's "odd", \really\; très`, "SELECT"} {
		t.Run(schema, func(t *testing.T) {
			t.Parallel()
			url := stacktest.Shared(t).Database(t)
			conn := connect(t, url, schema)
			state, err := migrations.Up(t.Context(), url, schema)
			require.NoError(t, err)
			require.Equal(t, migrations.State{Schema: schema, Version: latest(t), Latest: latest(t)}, state)
			require.NoError(t, migrations.Check(t.Context(), conn, schema))
			made := tables(t, conn, schema)
			require.Subset(t, made, []string{
				"outbox", "outbox_id_seq", "outbox_lease", "outbox_attempt", "outbox_dead", "outbox_topic", "outbox_origin", "outbox_marker",
				"outbox_sent", migrations.Table,
			})
			exec(t, conn, `INSERT INTO outbox (topic, payload) VALUES ('t', 'x')`)
			origin := value[string](t, conn, `SELECT origin::text FROM outbox_origin`)

			again, err := migrations.Up(t.Context(), url, schema)
			require.NoError(t, err)
			require.Equal(t, state, again)
			require.Equal(t, 1, value[int](t, conn, `SELECT count(*) FROM outbox`), "up again changes nothing")
			require.Equal(t, origin, value[string](t, conn, `SELECT origin::text FROM outbox_origin`))

			state, err = migrations.Down(t.Context(), url, schema)
			require.NoError(t, err)
			require.Zero(t, state.Version)
			require.Equal(t, []string{migrations.Table}, without(tables(t, conn, schema), migrations.Table+"_pkey"))
			require.ErrorIs(t, migrations.Check(t.Context(), conn, schema), migrations.ErrMissing)
			_, err = migrations.Down(t.Context(), url, schema)
			require.NoError(t, err, "down again changes nothing")

			_, err = migrations.Up(t.Context(), url, schema)
			require.NoError(t, err)
			require.Equal(t, made, tables(t, conn, schema))
			require.NotEqual(t, origin, value[string](t, conn, `SELECT origin::text FROM outbox_origin`))
			if schema != "public" {
				require.Empty(t, tables(t, conn, "public"), "nothing is made elsewhere")
			}
		})
	}
}

func without(names []string, name string) []string {
	var left []string
	for _, n := range names {
		if n != name {
			left = append(left, n)
		}
	}
	return left
}

func TestSeveralProcessesMigrateAtOnce(t *testing.T) {
	t.Parallel()
	const schema = "outbox"
	url := stacktest.Shared(t).Database(t)
	var wg sync.WaitGroup
	errs := make([]error, 6)
	for i := range errs {
		wg.Go(func() { _, errs[i] = migrations.Up(t.Context(), url, schema) })
	}
	wg.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	require.NoError(t, migrations.Check(t.Context(), connect(t, url, schema), schema))
}

func TestTwoOutboxesInOneDatabase(t *testing.T) {
	t.Parallel()
	url := stacktest.Shared(t).Database(t)
	conn := connect(t, url, "public")
	for _, schema := range []string{"one", "two"} {
		_, err := migrations.Up(t.Context(), url, schema)
		require.NoError(t, err)
	}
	_, err := migrations.Down(t.Context(), url, "one")
	require.NoError(t, err)
	require.NoError(t, migrations.Check(t.Context(), conn, "two"))
	require.ErrorIs(t, migrations.Check(t.Context(), conn, "one"), migrations.ErrMissing)
}

// The application's own golang-migrate keeps its table, and we ours.
func TestNeighbourWithGolangMigrate(t *testing.T) {
	t.Parallel()
	url := stacktest.Shared(t).Database(t)
	conn := connect(t, url, "public")
	exec(t, conn, `CREATE TABLE schema_migrations (version bigint PRIMARY KEY, dirty boolean NOT NULL)`)
	exec(t, conn, `INSERT INTO schema_migrations VALUES (42, true)`)
	_, err := migrations.Up(t.Context(), url, "public")
	require.NoError(t, err)
	require.Equal(t, int64(42), value[int64](t, conn, `SELECT version FROM schema_migrations`))
	_, err = migrations.Down(t.Context(), url, "public")
	require.NoError(t, err)
	require.Equal(t, int64(42), value[int64](t, conn, `SELECT version FROM schema_migrations`))
}

// A table that is in the way stops the migration, leaves nothing half done, and the next try succeeds.
func TestUpAfterAFailure(t *testing.T) {
	t.Parallel()
	url := stacktest.Shared(t).Database(t)
	conn := connect(t, url, "public")
	exec(t, conn, `CREATE TABLE outbox_topic (theirs int)`)
	_, err := migrations.Up(t.Context(), url, "public")
	require.ErrorContains(t, err, `relation "outbox_topic" already exists`)
	require.ElementsMatch(t, []string{"outbox_topic", migrations.Table}, without(tables(t, conn, "public"), migrations.Table+"_pkey"))
	err = migrations.Check(t.Context(), conn, "public")
	require.ErrorIs(t, err, migrations.ErrDirty)
	require.ErrorContains(t, err, "outbox-relay migrate up")

	exec(t, conn, `DROP TABLE outbox_topic`)
	state, err := migrations.Up(t.Context(), url, "public")
	require.NoError(t, err)
	require.False(t, state.Dirty)
	require.NoError(t, migrations.Check(t.Context(), conn, "public"))
}

// golang-migrate was killed between a migration and its note that it is done: what was applied is not applied again.
func TestUpAfterAKill(t *testing.T) {
	t.Parallel()
	url := stacktest.Shared(t).Database(t)
	conn := connect(t, url, "public")
	_, err := migrations.Up(t.Context(), url, "public")
	require.NoError(t, err)
	exec(t, conn, `UPDATE `+migrations.Table+` SET dirty = true`)
	require.ErrorIs(t, migrations.Check(t.Context(), conn, "public"), migrations.ErrDirty)
	state, err := migrations.Up(t.Context(), url, "public")
	require.NoError(t, err)
	require.False(t, state.Dirty)

	exec(t, conn, `UPDATE `+migrations.Table+` SET dirty = true`)
	_, err = migrations.Down(t.Context(), url, "public")
	require.NoError(t, err)
	require.ErrorIs(t, migrations.Check(t.Context(), conn, "public"), migrations.ErrMissing)
}

// Another tool runs the files as they are: in name order, in a transaction, names resolved through search_path.
func TestFilesWithAnotherTool(t *testing.T) {
	t.Parallel()
	const schema = "messaging"
	url := stacktest.Shared(t).Database(t)
	conn := connect(t, url, schema)
	exec(t, conn, `CREATE SCHEMA messaging`)
	files, err := fs.Glob(migrations.FS, "*.up.sql")
	require.NoError(t, err)
	for _, file := range files {
		text, err := migrations.FS.ReadFile(file)
		require.NoError(t, err)
		require.NotContains(t, string(text), `\`, "a psql command")
		exec(t, conn, string(text))
	}
	require.NoError(t, migrations.Check(t.Context(), conn, schema))
	state, err := migrations.Up(t.Context(), url, schema)
	require.NoError(t, err)
	require.True(t, state.Foreign)
	require.NotContains(t, tables(t, conn, schema), migrations.Table, "it is left to the other tool")
	_, err = migrations.Down(t.Context(), url, schema)
	require.ErrorContains(t, err, "another tool")

	exec(t, conn, `UPDATE outbox_origin SET schema_version = schema_version - 1`)
	if latest(t) > 1 {
		require.ErrorIs(t, migrations.Check(t.Context(), conn, schema), migrations.ErrOlder)
	}
}

// Every migration notes its number, and every one can be undone.
func TestFilesComeInPairsAndNoteTheirNumber(t *testing.T) {
	t.Parallel()
	ups, err := fs.Glob(migrations.FS, "*.up.sql")
	require.NoError(t, err)
	require.Len(t, ups, latest(t))
	for _, up := range ups {
		text, err := migrations.FS.ReadFile(up)
		require.NoError(t, err)
		require.Contains(t, string(text), "schema_version", up)
		_, err = migrations.FS.ReadFile(strings.Replace(up, ".up.", ".down.", 1))
		require.NoError(t, err)
	}
}

func TestUpWithoutTheRightToCreateTheSchema(t *testing.T) {
	t.Parallel()
	servers := stacktest.Shared(t)
	role := newRole(t, servers, "owner")
	url := servers.Database(t)
	_, err := migrations.Up(t.Context(), as(t, url, role), "ou'tbox")
	require.ErrorContains(t, err, `CREATE SCHEMA "ou'tbox" AUTHORIZATION`)
	exec(t, connect(t, url, "public"), `CREATE SCHEMA "ou'tbox" AUTHORIZATION `+quote(role))
	_, err = migrations.Up(t.Context(), as(t, url, role), "ou'tbox")
	require.NoError(t, err, "owning the schema is enough")
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	const nowhere = "postgres://127.0.0.1:1/x"
	_, err := migrations.Up(t.Context(), nowhere, "public")
	require.ErrorContains(t, err, "connect to migrate")
	_, err = migrations.Down(t.Context(), nowhere, "public")
	require.ErrorContains(t, err, "connect to migrate")
	_, err = migrations.Status(t.Context(), nowhere, "public")
	require.ErrorContains(t, err, "connect to read the schema version")
	_, err = migrations.Up(t.Context(), "postgres://%%", "public")
	require.ErrorContains(t, err, "read the database URL")
}
