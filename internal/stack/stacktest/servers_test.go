package stacktest_test

import (
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
)

func TestMain(m *testing.M) { os.Exit(stacktest.M{M: m}.Run()) }

func TestDatabasesAreEmptyAndDropped(t *testing.T) {
	t.Parallel()
	servers := stacktest.Shared(t)
	var url string
	t.Run("test that makes a table", func(t *testing.T) {
		url = servers.Database(t)
		conn, err := pgx.Connect(t.Context(), url)
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.PgConn().Conn().Close() })
		_, err = conn.Exec(t.Context(), "CREATE TABLE orders (id bigint)")
		require.NoError(t, err)
		other, err := pgx.Connect(t.Context(), servers.Database(t))
		require.NoError(t, err)
		defer other.Close(t.Context()) //nolint:errcheck // Only read from.
		var tables int
		require.NoError(t, other.QueryRow(t.Context(), "SELECT count(*) FROM pg_tables WHERE tablename = 'orders'").Scan(&tables))
		require.Zero(t, tables, "another database sees the table")
	})
	_, err := pgx.Connect(t.Context(), url)
	require.ErrorContains(t, err, "does not exist")
}

func TestTopicHasItsMessageType(t *testing.T) {
	t.Parallel()
	servers := stacktest.Shared(t)
	topic := servers.Topic(t, 3)
	require.NotEqual(t, topic, servers.Topic(t, 3), "topics are fresh")
	route := servers.Admin(t, "topicRoute", "-t", topic)
	require.Contains(t, route, servers.Broker())
	require.Regexp(t, `"writeQueueNums":\s*3`, route)
	list := servers.Admin(t, "getBrokerConfig", "-b", servers.Broker())
	require.Regexp(t, `transactionTimeOut\s*=\s*1000`, list)
	require.True(t, strings.HasPrefix(topic, "TestTopicHasItsMessageType-"), topic)
}
