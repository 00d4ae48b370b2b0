package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/stack"
	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
)

func TestBenchOnServersOfOnesOwn(t *testing.T) {
	t.Parallel()
	environ, url, _ := world(t)
	db := connect(t, url)
	file := filepath.Join(t.TempDir(), "bench.json")
	code, stdout, stderr := do(t, environ, "bench", "--cases", "transaction 256B sync,scale relays=1 brokers=1", "--repeat=1", "--rows=800", "--report", file)
	require.Zero(t, code, stderr)
	require.Regexp(t, `(?s)^This benchmark works in\n  the database  postgres://.*broker-a at 127.*\(sync flush\).*outbox_bench_ and eight`, stdout)
	require.Regexp(t, `(?s)drain transaction 256B sync, 200 rows.*relay peak MB`, stdout)
	require.Contains(t, stdout, "needs 1 brokers with flushDiskType=ASYNC_FLUSH, there are 0")
	require.NotContains(t, stdout, "postgres CPU", "of servers elsewhere nothing is known")
	require.FileExists(t, file)
	require.Empty(t, schemas(t, db))
}

// An interrupted run leaves nothing behind, neither schemas nor topics.
func TestBenchInterrupted(t *testing.T) {
	t.Parallel()
	environ, url, _ := world(t)
	db := connect(t, url)
	run := begin(t, environ, "bench", "--cases", "drain transaction 256B sync", "--repeat=1", "--rows=8000000")
	var made []string
	require.Eventually(t, func() bool { made = schemas(t, db); return len(made) > 0 }, patience, 20*time.Millisecond)
	run.signal(syscall.SIGINT)
	require.Equal(t, 1, run.code())
	require.Contains(t, run.stderr.String(), "context canceled")
	require.Empty(t, schemas(t, db))
	_, err := stack.ReadTopic(t.Context(), stacktest.Shared(t).NameServer(), made[0])
	require.ErrorContains(t, err, "route of topic "+made[0])
}

// It has the credentials and the authority of the relay's settings for everything that it does itself.
func TestBenchWithCredentialsAndTLS(t *testing.T) {
	t.Parallel()
	stacktest.Needs(t, stack.ACL2)
	s := stacktest.StartSecured(t)
	environ := []string{
		"OUTBOX_RELAY_DATABASE_URL=" + stacktest.Shared(t).Database(t), "OUTBOX_RELAY_NAMESERVERS=" + s.NameServer.Addr,
		"OUTBOX_RELAY_TLS_ENABLED=true", "OUTBOX_RELAY_TLS_CA_FILE=" + s.Authority.File, "OUTBOX_RELAY_CREDENTIALS_ACCESS_KEY=" + s.AccessKey,
	}
	args := []string{"bench", "--cases", "transaction 256B sync", "--repeat=1", "--rows=400"}
	code, _, stderr := do(t, append(environ, "OUTBOX_RELAY_CREDENTIALS_SECRET_KEY=wrong"), args...)
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "credentials.secret_key")
	code, stdout, stderr := do(t, append(environ, "OUTBOX_RELAY_CREDENTIALS_SECRET_KEY="+s.SecretKey), args...)
	require.Zero(t, code, stderr)
	require.Regexp(t, `(?s)pump transaction 256B sync, 100 rows.*drain transaction 256B sync, 100 rows.*relay peak MB`, stdout)
}

func schemas(t *testing.T, db *pgx.Conn) (names []string) {
	t.Helper()
	rows, err := db.Query(t.Context(), `SELECT nspname FROM pg_namespace WHERE nspname LIKE 'outbox\_bench\_%'`)
	require.NoError(t, err)
	names, err = pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return names
}

// The relays that are measured have the settings of this one, but for the database's.
func TestRelaysOfTheBenchHaveTheSettings(t *testing.T) {
	t.Parallel()
	got := relayEnviron([]string{"PATH=/bin", "OUTBOX_RELAY_DATABASE_URL_FILE=/secret", "OUTBOX_RELAY_BATCH_ROWS=7"}, "relay.yaml")
	require.Equal(t, []string{"PATH=/bin", "OUTBOX_RELAY_BATCH_ROWS=7", "OUTBOX_RELAY_CONFIG=relay.yaml"}, got)
	require.NotContains(t, relayEnviron(os.Environ(), ""), "OUTBOX_RELAY_CONFIG=")
}
