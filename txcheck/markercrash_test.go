package txcheck_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/stack"
	"github.com/outbox-relay/outbox-relay/txcheck"
)

// PostgreSQL is killed right after each answer. It writes what was committed without waiting only every ten seconds, and the
// database says that commits are not waited for, so that a crash loses what nobody has made sure of.
func TestAnswersSurviveACrashOfPostgres(t *testing.T) {
	t.Parallel()
	server, err := stack.StartPostgres(t.Context(), stack.Options{PostgresConfig: map[string]string{
		"wal_writer_delay": "10s", "synchronous_commit": "off", "autovacuum": "off",
	}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	s := newServiceAt(t, server.URL("postgres"), nil)
	crash := func() {
		t.Helper()
		require.NoError(t, server.Kill())
		require.NoError(t, server.Start(t.Context()))
		s.db.Reset()
		s.markers.Close()
		s.markers = openMarkers(t, s.url, nil)
	}
	s.exec(`CHECKPOINT`) // without it the next crash takes even the tables

	committed := s.markers.NewID()
	tx := s.begin(pgx.TxOptions{})
	require.NoError(t, s.markers.Mark(t.Context(), tx, committed))
	require.NoError(t, place(t.Context(), "A")(tx))
	_, err = tx.Exec(t.Context(), `SET LOCAL synchronous_commit = off`) // against the rules: the checker does not trust it
	require.NoError(t, err)
	require.NoError(t, tx.Commit(t.Context()))
	require.Equal(t, txcheck.Commit, s.check(committed))
	crash()
	require.True(t, s.placed("A"), "the broker was told Commit")
	require.Equal(t, txcheck.Commit, s.check(committed))

	gone := s.markers.NewID()
	require.Equal(t, txcheck.Rollback, s.check(gone))
	crash()
	_, err = s.markers.Run(t.Context(), s.db, gone, place(t.Context(), "B"))
	require.ErrorIs(t, err, txcheck.ErrDecided, "the broker was told Rollback")

	ran := s.markers.NewID()
	answer, err := s.markers.Run(t.Context(), s.db, ran, place(t.Context(), "C"))
	require.NoError(t, err)
	require.Equal(t, txcheck.Commit, answer)
	crash()
	require.True(t, s.placed("C"), "the broker was told Commit by the producer")
}
