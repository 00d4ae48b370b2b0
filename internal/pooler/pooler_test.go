package pooler_test

import (
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/outbox-relay/outbox-relay/internal/pooler"
	"github.com/outbox-relay/outbox-relay/internal/stack"
	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(stacktest.M{M: m}) }

// through starts a pooler in front of the shared PostgreSQL.
func through(t *testing.T, mode string, settings map[string]string) (direct, pooled string) {
	t.Helper()
	direct = stacktest.Shared(t).Database(t)
	b, err := stack.StartPgBouncer(t.Context(), direct, mode, settings, stack.Options{})
	if errors.Is(err, stack.ErrNoPgBouncer) {
		t.Skip(err)
	}
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	return direct, b.URL(direct)
}

// connect makes connections and leaves them idle: the pooler has several server sessions to choose from.
func connect(t *testing.T, url string, n int) []*pgx.Conn {
	t.Helper()
	conns := make([]*pgx.Conn, n)
	for i := range conns {
		conn, err := pgx.Connect(t.Context(), url)
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close(t.Context()) })
		conns[i] = conn
	}
	for _, sql := range []string{"BEGIN", "SELECT 1", "ROLLBACK"} {
		for _, conn := range conns {
			_, err := conn.PgConn().Exec(t.Context(), sql).ReadAll()
			require.NoError(t, err)
		}
	}
	return conns
}

func TestNoPooler(t *testing.T) {
	t.Parallel()
	require.NoError(t, pooler.Check(t.Context(), connect(t, stacktest.Shared(t).Database(t), 1)[0]))
}

func TestPooledSessions(t *testing.T) {
	t.Parallel()
	for name, settings := range map[string]map[string]string{
		"last in, first out": nil, "round robin": {"server_round_robin": "1"}, "one": {"default_pool_size": "2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, url := through(t, "session", settings)
			for _, conn := range connect(t, url, 1) {
				require.NoError(t, pooler.Check(t.Context(), conn))
			}
		})
	}
}

func TestPooledTransactions(t *testing.T) {
	t.Parallel()
	for name, settings := range map[string]map[string]string{
		"last in, first out": nil, "round robin": {"server_round_robin": "1"}, "one": {"default_pool_size": "1"}, "two": {"default_pool_size": "2", "server_round_robin": "1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, url := through(t, "transaction", settings)
			conns := 4
			if settings["default_pool_size"] != "" {
				conns = 1
			}
			for _, conn := range connect(t, url, conns) {
				require.ErrorIs(t, pooler.Check(t.Context(), conn), pooler.ErrTransaction)
			}
		})
	}
}

func TestPoolThatIsTooSmall(t *testing.T) {
	t.Parallel()
	_, url := through(t, "session", map[string]string{"default_pool_size": "1"})
	began := time.Now()
	err := pooler.Check(t.Context(), connect(t, url, 1)[0])
	require.Error(t, err)
	require.NotErrorIs(t, err, pooler.ErrTransaction)
	require.ErrorContains(t, err, "second connection through the pooler")
	require.Less(t, time.Since(began), time.Minute)
}
