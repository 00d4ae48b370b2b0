package main

import (
	"context"
	"encoding/json"
	"net/http"
	"regexp"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/app"
	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
)

// world is a fresh database and topic, as settings in the environment.
func world(t *testing.T) (environ []string, url, topic string) {
	t.Helper()
	servers := stacktest.Shared(t)
	url, topic = servers.Database(t), servers.Topic(t, 4)
	return []string{
		"OUTBOX_RELAY_DATABASE_URL=" + url, "OUTBOX_RELAY_NAMESERVERS=" + servers.NameServer(), "OUTBOX_RELAY_TOPICS=" + topic,
		"OUTBOX_RELAY_GROUP=" + servers.Group(t), "OUTBOX_RELAY_HTTP_LISTEN=127.0.0.1:0", "OUTBOX_RELAY_INSTANCE=pod-7",
		"OUTBOX_RELAY_DATABASE_SCHEMA=the outbox",
	}, url, topic
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close(context.Background())) })
	return conn
}

func TestFromEmptyDatabaseToPublishedRows(t *testing.T) {
	t.Parallel()
	environ, url, topic := world(t)

	code, _, stderr := do(t, environ, "migrate", "status")
	require.Equal(t, 1, code)
	require.Contains(t, stderr, `run "outbox-relay migrate up"`)
	code, _, stderr = do(t, environ, "run")
	require.Equal(t, 1, code, "it never migrates unasked")
	require.Contains(t, stderr, "outbox-relay migrate up")

	for range 2 {
		code, stdout, _ := do(t, environ, "migrate", "up")
		require.Zero(t, code)
		require.Regexp(t, `^schema the outbox is at version (\d+) of (\d+)\n$`, stdout)
	}
	code, _, _ = do(t, environ, "migrate", "status")
	require.Zero(t, code)

	db := connect(t, url)
	insert := `INSERT INTO "the outbox".outbox (topic, payload) SELECT $1, 'x' FROM generate_series(1, 10)`
	_, err := db.Exec(t.Context(), insert, topic)
	require.NoError(t, err)
	code, _, stderr = do(t, environ, "migrate", "down")
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "10 pending rows")

	relay := begin(t, environ, "run")
	relay.says(`"ready":true`)
	require.Eventually(t, func() bool { return left(t, db) == 0 }, patience, 20*time.Millisecond)
	require.Equal(t, http.StatusOK, status(t, relay, "/readyz"))
	require.Equal(t, http.StatusOK, status(t, relay, "/healthz"))
	code, _, _ = do(t, append(environ, "OUTBOX_RELAY_HTTP_LISTEN="+address(t, relay)), "healthcheck")
	require.Zero(t, code)

	code, stdout, _ := do(t, environ, "status", "--json")
	require.Zero(t, code)
	var s app.Status
	require.NoError(t, json.Unmarshal([]byte(stdout), &s))
	require.Zero(t, s.Pending)
	require.Len(t, s.Leases, 1)
	require.Equal(t, "pod-7", s.Leases[0].Instance)
	code, stdout, _ = do(t, environ, "status")
	require.Zero(t, code)
	require.Regexp(t, `relay pod-7 +64 of 64 shards`, stdout)

	relay.signal(syscall.SIGTERM)
	require.Zero(t, relay.code(), "a stop in good order")
	require.Contains(t, relay.stderr.String(), `"msg":"stopped"}`)
	for range 2 {
		code, _, _ = do(t, environ, "migrate", "down")
		require.Zero(t, code, "the history alone does not hinder it")
	}
}

func left(t *testing.T, db *pgx.Conn) (n int) {
	t.Helper()
	require.NoError(t, db.QueryRow(t.Context(), `SELECT count(*) FROM "the outbox".outbox`).Scan(&n))
	return n
}

func status(t *testing.T, c *command, path string) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address(t, c)+path, nil)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	return response.StatusCode
}

// address is where the relay serves.
func address(t *testing.T, c *command) string {
	t.Helper()
	found := regexp.MustCompile(`"msg":"serving metrics and health","component":"app","address":"([^"]+)"`).FindStringSubmatch(c.stderr.String())
	require.Len(t, found, 2)
	return found[1]
}

// stuck is a relay whose stop takes long: somebody locks the table that its lease is in.
func stuck(t *testing.T) *command {
	t.Helper()
	environ, url, _ := world(t)
	code, _, _ := do(t, environ, "migrate", "up")
	require.Zero(t, code)
	relay := begin(t, environ, "run")
	relay.says(`"ready":true`)
	tx, err := connect(t, url).Begin(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, tx.Rollback(context.Background())) })
	_, err = tx.Exec(t.Context(), `LOCK TABLE "the outbox".outbox_lease IN ACCESS EXCLUSIVE MODE`)
	require.NoError(t, err)
	return relay
}

func TestSecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(s.String(), func(t *testing.T) {
			t.Parallel()
			relay := stuck(t)
			relay.signal(s)
			relay.says(`"msg":"stopping"`)
			require.Eventually(t, func() bool { // signals within a moment are one
				relay.signal(s)
				select {
				case <-relay.ended:
					return true
				default:
					return false
				}
			}, patience, 50*time.Millisecond)
			require.Equal(t, 128+int(s), relay.code())
			require.NotContains(t, relay.stderr.String(), `"msg":"stopped"`)
		})
	}
}

func TestTwoSignalsAtOnceAreOneStop(t *testing.T) {
	t.Parallel()
	environ, _, _ := world(t)
	code, _, _ := do(t, environ, "migrate", "up")
	require.Zero(t, code)
	relay := begin(t, environ, "run")
	relay.says(`"ready":true`)
	relay.signal(syscall.SIGTERM)
	relay.signal(syscall.SIGINT)
	require.Zero(t, relay.code())
	require.Contains(t, relay.stderr.String(), `"msg":"stopped"}`)
}

func TestStopBeforeAnythingWasReached(t *testing.T) {
	t.Parallel()
	relay := begin(t, []string{
		"OUTBOX_RELAY_DATABASE_URL=postgres://u:hunter2@127.0.0.1:1/d", "OUTBOX_RELAY_NAMESERVERS=127.0.0.1:1", "OUTBOX_RELAY_TOPICS=t",
		"OUTBOX_RELAY_HTTP_LISTEN=127.0.0.1:0",
	}, "run")
	relay.says(`"msg":"waiting"`)
	require.Equal(t, http.StatusOK, status(t, relay, "/healthz"))
	require.Equal(t, http.StatusServiceUnavailable, status(t, relay, "/readyz"))
	at := []string{"OUTBOX_RELAY_HTTP_LISTEN=" + address(t, relay)}
	code, _, stderr := do(t, at, "healthcheck")
	require.Equal(t, 1, code)
	require.Contains(t, stderr, `"name":"database","ok":false`)
	relay.signal(syscall.SIGINT)
	require.Zero(t, relay.code())
	require.NotContains(t, relay.stderr.String(), "hunter2")
}
