package migrations_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
	"github.com/outbox-relay/outbox-relay/migrations"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	const schema = "outbox"
	url := stacktest.Shared(t).Database(t)
	conn := connect(t, url, schema)
	check := func(want error, command string) {
		t.Helper()
		err := migrations.Check(t.Context(), conn, schema)
		require.ErrorIs(t, err, want)
		require.ErrorContains(t, err, command)
		require.ErrorContains(t, err, `"outbox"`)
		status, statusErr := migrations.Status(t.Context(), url, schema)
		require.NoError(t, statusErr)
		require.EqualError(t, status.Problem(), err.Error())
	}
	check(migrations.ErrMissing, `run "outbox-relay migrate up"`)
	exec(t, conn, `CREATE SCHEMA outbox`)
	check(migrations.ErrMissing, `run "outbox-relay migrate up"`)
	require.Empty(t, tables(t, conn, schema), "looking changes nothing")

	_, err := migrations.Up(t.Context(), url, schema)
	require.NoError(t, err)
	require.NoError(t, migrations.Check(t.Context(), conn, schema))

	exec(t, conn, `UPDATE outbox_origin SET schema_version = 999`)
	check(migrations.ErrNewer, `install a newer outbox-relay`)
	_, err = migrations.Up(t.Context(), url, schema)
	require.ErrorIs(t, err, migrations.ErrNewer)
	_, err = migrations.Down(t.Context(), url, schema)
	require.ErrorIs(t, err, migrations.ErrNewer)
	require.Contains(t, tables(t, conn, schema), "outbox")

	exec(t, conn, `UPDATE outbox_origin SET schema_version = -1`)
	check(migrations.ErrOlder, `run "outbox-relay migrate up"`)
	exec(t, conn, `DROP TABLE outbox_schema_migrations`)
	check(migrations.ErrOlder, `another tool`)
	_, err = migrations.Up(t.Context(), url, schema)
	require.ErrorIs(t, err, migrations.ErrOlder)
}

func TestCheckWithoutTheGrants(t *testing.T) {
	t.Parallel()
	servers := stacktest.Shared(t)
	role := newRole(t, servers, "stranger")
	url := servers.Database(t)
	_, err := migrations.Up(t.Context(), url, "outbox")
	require.NoError(t, err)
	err = migrations.Check(t.Context(), connect(t, as(t, url, role), "outbox"), "outbox")
	require.ErrorContains(t, err, "outbox-relay grants")
	require.NotErrorIs(t, err, migrations.ErrMissing)
}

func TestSchemaNames(t *testing.T) {
	t.Parallel()
	for name, why := range map[string]string{
		"": "empty", strings.Repeat("x", 64): "63 bytes", strings.Repeat("ü", 32): "63 bytes", "a\x00b": "zero byte", "pg_outbox": "pg_",
	} {
		require.ErrorContains(t, migrations.CheckSchemaName(name), why)
		_, err := migrations.Up(t.Context(), "postgres://127.0.0.1:1/x", name)
		require.ErrorContains(t, err, why)
		_, err = migrations.Status(t.Context(), "postgres://127.0.0.1:1/x", name)
		require.ErrorContains(t, err, why)
		require.ErrorContains(t, migrations.Check(t.Context(), nil, name), why)
		_, _, err = migrations.Grants(name, "a", "b")
		require.ErrorContains(t, err, why)
	}
	require.NoError(t, migrations.CheckSchemaName("public"))
	require.NoError(t, migrations.CheckSchemaName(strings.Repeat("x", 63)))
}
