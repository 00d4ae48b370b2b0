package main

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/stack"
	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
)

// copyOf makes a copy of a database that nobody is connected to, and returns the environment for it.
func copyOf(t *testing.T, environ []string, from string) (copied []string, db *pgx.Conn) {
	t.Helper()
	servers := stacktest.Shared(t)
	to := servers.Database(t)
	u, err := url.Parse(to)
	require.NoError(t, err)
	original, err := url.Parse(from)
	require.NoError(t, err)
	admin := connect(t, servers.Postgres())
	for _, sql := range []string{
		`DROP DATABASE ` + strings.TrimPrefix(u.Path, "/"),
		`CREATE DATABASE ` + strings.TrimPrefix(u.Path, "/") + ` TEMPLATE ` + strings.TrimPrefix(original.Path, "/"),
	} {
		_, err := admin.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	return append(slices.Clone(environ), "OUTBOX_RELAY_DATABASE_URL="+to), connect(t, to)
}

func TestCopiedDatabaseIsRefusedUntilAnOperatorSaysWhatItIs(t *testing.T) {
	t.Parallel()
	environ, url, topic := world(t)
	code, _, _ := do(t, environ, "migrate", "up")
	require.Zero(t, code)
	fill, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	_, err = fill.Exec(t.Context(), `INSERT INTO "the outbox".outbox (topic, payload) SELECT $1, 'x' FROM generate_series(1, 10)`, topic)
	require.NoError(t, err)
	require.NoError(t, fill.Close(context.Background()))
	moved, movedDB := copyOf(t, environ, url)
	copied, copiedDB := copyOf(t, environ, url)

	for _, environ := range [][]string{moved, copied} {
		code, _, stderr := do(t, environ, "run")
		require.Equal(t, 1, code)
		require.Contains(t, stderr, `run \"outbox-relay origin adopt\"; if it is a copy, run \"outbox-relay origin new\"`)
		code, stdout, _ := do(t, environ, "origin", "show")
		require.Zero(t, code)
		require.Contains(t, stdout, "it was moved or copied")
	}
	require.Equal(t, 10, left(t, copiedDB), "nothing was published")

	code, stdout, _ := do(t, moved, "origin", "adopt")
	require.Zero(t, code)
	require.Contains(t, stdout, "is at home in database")
	code, stdout, _ = do(t, moved, "origin", "adopt")
	require.Zero(t, code)
	require.Contains(t, stdout, "nothing to adopt")

	code, stdout, _ = do(t, copied, "origin", "new", "--dry-run", "--discard-pending")
	require.Zero(t, code)
	require.Contains(t, stdout, "dry run, nothing was changed")
	require.Contains(t, stdout, "10 pending rows are deleted here")
	code, _, stderr := do(t, copied, "origin", "new")
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "10. The original publishes them. Add --discard-pending")
	code, _, stderr = do(t, copied, "origin", "new", "--discard-pending", "--publish-pending")
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "choose one")
	code, _, _ = do(t, copied, "origin", "new", "--discard-pending")
	require.Zero(t, code)
	require.Zero(t, left(t, copiedDB))
	_, err = copiedDB.Exec(t.Context(), `INSERT INTO "the outbox".outbox (topic, payload) VALUES ($1, 'y')`, topic)
	require.NoError(t, err)

	for environ, db := range map[*[]string]*pgx.Conn{&moved: movedDB, &copied: copiedDB} {
		relay := begin(t, *environ, "run")
		relay.says(`"ready":true`)
		require.Eventually(t, func() bool { return left(t, db) == 0 }, patience, tick)
		code, _, stderr := do(t, *environ, "origin", "adopt")
		require.Equal(t, 1, code)
		require.Contains(t, stderr, "a relay holds a lease: pod-7")
		relay.signal(syscall.SIGTERM)
		require.Zero(t, relay.code())
	}
	messages, err := stack.ReadTopic(t.Context(), stacktest.Shared(t).NameServer(), topic)
	require.NoError(t, err)
	origins := map[string]int{}
	for _, m := range messages {
		origins[m.Properties["outbox-origin"]]++
	}
	require.Equal(t, map[string]int{origin(t, movedDB): 10, origin(t, copiedDB): 1}, origins)
}

func origin(t *testing.T, db *pgx.Conn) (uuid string) {
	t.Helper()
	require.NoError(t, db.QueryRow(t.Context(), `SELECT origin::text FROM "the outbox".outbox_origin`).Scan(&uuid))
	return uuid
}
