package producers_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/stack"
	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
	"github.com/outbox-relay/outbox-relay/migrations"
)

func TestMain(m *testing.M) { os.Exit(stacktest.M{M: m}.Run()) }

const patience = 2 * time.Minute

// A producer is a program that places the order "<name>-1" and is refused "<name>-2".
type producer struct {
	name    string
	command func(t *testing.T, database *url.URL, topic string) *exec.Cmd
}

func producers() []producer {
	return []producer{{"sql", psql}, {"java", spring}, {"python", psycopg}}
}

// need skips a test where a program is missing.
func need(t *testing.T, program, install string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("%s is not installed (on Debian: apt-get install %s)", program, install)
	}
}

func psql(t *testing.T, database *url.URL, topic string) *exec.Cmd {
	t.Helper()
	need(t, "psql", "postgresql-client")
	return exec.CommandContext(t.Context(), "psql", database.String(), "-v", "ON_ERROR_STOP=1", "-v", "topic="+topic, "-f", "sql/order.sql")
}

func spring(t *testing.T, database *url.URL, topic string) *exec.Cmd {
	t.Helper()
	command, err := stack.BuildJava(t.Context(), "java", t.TempDir())
	var missing *stack.MissingError
	if errors.As(err, &missing) {
		t.Skip(err)
	}
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), command[0], append(command[1:], "example.Main")...)
	cmd.Env = append(os.Environ(), "JDBC_URL=jdbc:postgresql://"+database.Host+database.Path+"?user="+database.User.Username(), "TOPIC="+topic)
	return cmd
}

// psycopg takes a Python that has it, or makes an environment with it.
func psycopg(t *testing.T, database *url.URL, topic string) *exec.Cmd {
	t.Helper()
	need(t, "python3", "python3-venv python3-psycopg")
	python := "python3"
	if exec.CommandContext(t.Context(), python, "-c", "import psycopg").Run() != nil {
		dir := t.TempDir()
		if out, err := exec.CommandContext(t.Context(), python, "-m", "venv", dir).CombinedOutput(); err != nil {
			t.Skipf("python3 has no psycopg and makes no environment (on Debian: apt-get install python3-venv): %s", out)
		}
		python = filepath.Join(dir, "bin", "python")
		pip := exec.CommandContext(t.Context(), python, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "-r", "python/requirements.txt")
		if out, err := pip.CombinedOutput(); err != nil {
			t.Skipf("psycopg could not be installed: %s", out)
		}
	}
	cmd := exec.CommandContext(t.Context(), python, "python/order.py")
	cmd.Env = append(os.Environ(), "DATABASE_URL="+database.String(), "TOPIC="+topic)
	return cmd
}

func run(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s: %s", cmd, out)
	t.Logf("%s", out)
}

func TestProducersWithoutTheLibrary(t *testing.T) {
	t.Parallel()
	servers := stacktest.Shared(t)
	relay := filepath.Join(t.TempDir(), "outbox-relay")
	run(t, exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", relay, "../../cmd/outbox-relay"))
	for _, p := range producers() {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			text, topic := servers.Database(t), servers.Topic(t, 2)
			database, err := url.Parse(text)
			require.NoError(t, err)
			_, err = migrations.Up(t.Context(), text, "public")
			require.NoError(t, err)
			run(t, p.command(t, database, topic))

			db, err := pgx.Connect(t.Context(), text)
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, db.Close(context.Background())) })
			require.Equal(t, []string{p.name + "-1"}, ids(t, db, `SELECT id FROM orders`))
			require.Equal(t, []string{"order-" + p.name + "-1"}, ids(t, db, `SELECT dedup_key FROM outbox`), "the other went with its transaction")

			start(t, relay, text, topic, servers)
			require.Eventually(t, func() bool { return len(ids(t, db, `SELECT dedup_key FROM outbox`)) == 0 }, patience, 50*time.Millisecond)
			messages, err := stack.ReadTopic(t.Context(), servers.NameServer(), topic)
			require.NoError(t, err)
			require.Len(t, messages, 1)
			m := messages[0]
			require.JSONEq(t, `{"id": "`+p.name+`-1", "customer": "ada", "cents": 1250, "note": "Grüße"}`, string(m.Body))
			require.Equal(t, "placed", m.Tag)
			require.Equal(t, "order-"+p.name+"-1 "+p.name+"-1 ada", m.Keys)
			for name, want := range map[string]string{
				"outbox-dedup-key": "order-" + p.name + "-1", "SHARDING_KEY": "ada", "__SHARDINGKEY": "ada",
				"content-type": "application/json", "priority": "3", "gift": "true",
			} {
				require.Equal(t, want, m.Properties[name], name)
			}
		})
	}
}

func ids(t *testing.T, db *pgx.Conn, query string) []string {
	t.Helper()
	rows, err := db.Query(t.Context(), query)
	require.NoError(t, err)
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return all
}

// start starts the relay, and stops it in good order at the end.
func start(t *testing.T, relay, database, topic string, servers *stacktest.Servers) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	listen := l.Addr().String()
	require.NoError(t, l.Close())
	var log strings.Builder
	cmd := exec.Command(relay, "run") //nolint:noctx // It is stopped by a signal.
	cmd.Stderr = &log
	cmd.Env = append(os.Environ(), "OUTBOX_RELAY_DATABASE_URL="+database, "OUTBOX_RELAY_NAMESERVERS="+servers.NameServer(),
		"OUTBOX_RELAY_TOPICS="+topic, "OUTBOX_RELAY_GROUP="+servers.Group(t), "OUTBOX_RELAY_HTTP_LISTEN="+listen)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
		require.NoError(t, cmd.Wait(), log.String())
	})
	require.Eventually(t, func() bool {
		response, err := http.Get("http://" + listen + "/readyz") //nolint:noctx // It answers at once, or not at all.
		if err != nil {
			return false
		}
		_ = response.Body.Close()
		return response.StatusCode == http.StatusOK
	}, patience, 50*time.Millisecond)
}
