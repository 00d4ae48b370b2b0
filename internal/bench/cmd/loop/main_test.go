package main

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/stack"
	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
)

func TestMain(m *testing.M) { os.Exit(stacktest.M{M: m}.Run()) }

func TestLoopSendsAndMarks(t *testing.T) {
	t.Parallel()
	servers := stacktest.Shared(t)
	url, topic := servers.Database(t), servers.TopicOf(t, 4, "NORMAL")
	db, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer db.Close(context.Background()) //nolint:errcheck // The end of the test.
	_, err = db.Exec(t.Context(), `CREATE TABLE peer (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, topic text, ordering_key text, payload bytea, sent_at timestamptz)`)
	require.NoError(t, err)
	_, err = db.Exec(t.Context(), `INSERT INTO peer (topic, ordering_key, payload) SELECT $1, nullif(n % 2, 0)::text, 'x' FROM generate_series(1, 250) n`, topic)
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, []string{"-url", url, "-nameserver", servers.NameServer(), "-group", servers.Group(t), "-workers", "2"})
	}()
	require.Eventually(t, func() bool {
		var left int
		return db.QueryRow(t.Context(), "SELECT count(*) FROM peer WHERE sent_at IS NULL").Scan(&left) == nil && left == 0
	}, time.Minute, 10*time.Millisecond)
	stop()
	require.NoError(t, <-done)
	require.Eventually(t, func() bool {
		messages, err := stack.ReadTopic(t.Context(), servers.NameServer(), topic)
		return err == nil && len(messages) == 250
	}, 20*time.Second, 50*time.Millisecond)
}

func TestLoopSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	require.ErrorContains(t, run(t.Context(), []string{"-workers", "many"}), "invalid value")
}
