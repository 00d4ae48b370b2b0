package txcheck_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/stack"
	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
	"github.com/outbox-relay/outbox-relay/txcheck"
)

func TestCommittedTransactionIsAnsweredCommit(t *testing.T) {
	t.Parallel()
	s := newService(t, nil)
	id := s.markers.NewID()
	answer, err := s.markers.Run(t.Context(), s.db, id, place(t.Context(), "A"))
	require.NoError(t, err)
	require.Equal(t, txcheck.Commit, answer)
	for range 3 {
		require.Equal(t, txcheck.Commit, s.check(id), "however often it is asked")
	}
	require.True(t, s.placed("A"))
	var asked bool
	require.NoError(t, s.db.QueryRow(t.Context(), `SELECT asked_at IS NOT NULL FROM outbox_marker`).Scan(&asked))
	require.True(t, asked)

	another := openMarkers(t, s.url, nil)
	answer, err = another.Check(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, txcheck.Commit, answer, "any process of the group may be asked, also one that was started since")
}

func TestRolledBackTransactionIsAnsweredRollback(t *testing.T) {
	t.Parallel()
	s := newService(t, nil)
	soldOut := errors.New("sold out")
	id := s.markers.NewID()
	answer, err := s.markers.Run(t.Context(), s.db, id, func(tx pgx.Tx) error {
		return errors.Join(place(t.Context(), "A")(tx), soldOut)
	})
	require.ErrorIs(t, err, soldOut)
	require.Equal(t, txcheck.Rollback, answer)
	require.Equal(t, txcheck.Rollback, s.check(id))
	require.False(t, s.placed("A"))

	answer, err = s.markers.Run(t.Context(), s.db, id, place(t.Context(), "A"))
	require.ErrorIs(t, err, txcheck.ErrDecided, "Rollback was answered: a second try needs a half message of its own")
	require.Equal(t, txcheck.Rollback, answer)
	require.False(t, s.placed("A"))
}

// The fence: whoever comes after the answer cannot commit, at any isolation level.
func TestTransactionCannotCommitAfterRollbackWasAnswered(t *testing.T) {
	t.Parallel()
	s := newService(t, nil)
	for _, level := range []pgx.TxIsoLevel{pgx.ReadCommitted, pgx.RepeatableRead, pgx.Serializable} {
		t.Run(string(level), func(t *testing.T) {
			t.Parallel()
			order, id := string(level), s.markers.NewID()
			tx := s.begin(pgx.TxOptions{IsoLevel: level})
			_, err := tx.Exec(t.Context(), `SELECT count(*) FROM outbox_marker`) // takes the snapshot before the answer
			require.NoError(t, err)
			require.NoError(t, place(t.Context(), order)(tx))
			require.Equal(t, txcheck.Rollback, s.check(id), "nothing of the transaction is to be seen yet")

			require.ErrorIs(t, s.markers.Mark(t.Context(), tx, id), txcheck.ErrDecided)
			require.ErrorIs(t, tx.Commit(t.Context()), pgx.ErrTxCommitRollback)
			require.False(t, s.placed(order))
			require.Equal(t, txcheck.Rollback, s.check(id))
		})
	}
}

func TestRunningTransactionIsWaitedFor(t *testing.T) {
	t.Parallel()
	s := newService(t, nil)
	for _, end := range []struct {
		name string
		do   func(tx pgx.Tx) error
		want txcheck.Answer
	}{
		{"commits", func(tx pgx.Tx) error { return tx.Commit(t.Context()) }, txcheck.Commit},
		{"rolls back", func(tx pgx.Tx) error { return tx.Rollback(t.Context()) }, txcheck.Rollback},
	} {
		t.Run(end.name, func(t *testing.T) {
			t.Parallel()
			id := s.markers.NewID()
			tx := s.begin(pgx.TxOptions{})
			require.NoError(t, s.markers.Mark(t.Context(), tx, id))
			require.NoError(t, place(t.Context(), end.name)(tx))
			for range 3 {
				require.Equal(t, txcheck.Unknown, s.check(id))
			}
			require.NoError(t, end.do(tx), "the questions did it no harm")
			require.Equal(t, end.want, s.check(id))
			require.Equal(t, end.want == txcheck.Commit, s.placed(end.name))
		})
	}
}

// What happens in savepoints after the marker changes nothing about it.
func TestSavepointsInsideTheTransaction(t *testing.T) {
	t.Parallel()
	s := newService(t, nil)
	id := s.markers.NewID()
	answer, err := s.markers.Run(t.Context(), s.db, id, func(tx pgx.Tx) error {
		inner, err := tx.Begin(t.Context())
		require.NoError(t, err)
		require.NoError(t, place(t.Context(), "B")(inner))
		require.NoError(t, inner.Rollback(t.Context()))
		return place(t.Context(), "A")(tx)
	})
	require.NoError(t, err)
	require.Equal(t, txcheck.Commit, answer)
	require.True(t, s.placed("A"))
	require.False(t, s.placed("B"))
	require.Equal(t, txcheck.Commit, s.check(id))
}

// A function that ends the transaction itself, or hides a failure, does not change what is true.
func TestRunTellsWhatTheDatabaseSays(t *testing.T) {
	t.Parallel()
	s := newService(t, nil)
	broken := errors.New("after the commit")
	for name, c := range map[string]struct {
		fn   func(tx pgx.Tx) error
		want txcheck.Answer
		err  error
	}{
		"rolls back and says nothing": {func(tx pgx.Tx) error { return tx.Rollback(t.Context()) }, txcheck.Rollback, pgx.ErrTxClosed},
		"hides an error": {func(tx pgx.Tx) error {
			_, _ = tx.Exec(t.Context(), `SELECT 1/0`)
			return nil
		}, txcheck.Rollback, pgx.ErrTxCommitRollback},
		"commits and fails": {func(tx pgx.Tx) error {
			return errors.Join(place(t.Context(), "commits and fails")(tx), tx.Commit(t.Context()), broken)
		}, txcheck.Commit, broken},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			id := s.markers.NewID()
			answer, err := s.markers.Run(t.Context(), s.db, id, c.fn)
			require.ErrorIs(t, err, c.err)
			require.Equal(t, c.want, answer)
			require.Equal(t, c.want, s.check(id))
		})
	}
}

func TestPanicRollsBack(t *testing.T) {
	t.Parallel()
	s := newService(t, nil)
	id := s.markers.NewID()
	require.PanicsWithValue(t, "in fn", func() {
		_, _ = s.markers.Run(t.Context(), s.db, id, func(tx pgx.Tx) error {
			require.NoError(t, place(t.Context(), "A")(tx))
			panic("in fn")
		})
	})
	require.Equal(t, txcheck.Rollback, s.check(id))
	require.False(t, s.placed("A"))
}

// The connection is lost while COMMIT is on its way: here the server ends it before COMMIT arrives, or answers nothing after it.
func TestCommitWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	s := newService(t, nil)
	lost := errors.New("the connection is lost")
	for name, c := range map[string]struct {
		commits bool
		want    txcheck.Answer
	}{
		"it had committed":     {true, txcheck.Commit},
		"it had not committed": {false, txcheck.Rollback},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			id := s.markers.NewID()
			answer, err := s.markers.Run(t.Context(), losing{s.db, c.commits, lost}, id, place(t.Context(), name))
			require.Equal(t, c.want, answer)
			require.Equal(t, c.commits, s.placed(name))
			require.Equal(t, c.want, s.check(id))
			if c.commits {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, lost)
			}
		})
	}
}

// losing begins transactions whose COMMIT returns an error, whatever became of it.
type losing struct {
	txcheck.Beginner
	commits bool
	err     error
}

func (l losing) Begin(ctx context.Context) (pgx.Tx, error) {
	tx, err := l.Beginner.Begin(ctx)
	return losingTx{tx, l}, err
}

type losingTx struct {
	pgx.Tx
	losing
}

func (l losingTx) Begin(ctx context.Context) (pgx.Tx, error) { return l.Tx.Begin(ctx) }

func (l losingTx) Commit(ctx context.Context) error {
	end := l.Rollback
	if l.commits {
		end = l.Tx.Commit
	}
	return errors.Join(end(ctx), l.err)
}

func TestYoungHalfIsLeftInPeace(t *testing.T) {
	t.Parallel()
	s := newService(t, func(o *txcheck.MarkerOptions) { o.Grace = time.Hour })
	id := s.markers.NewID()
	require.Equal(t, txcheck.Unknown, s.check(id), "the transaction may not have begun")
	answer, err := s.markers.Run(t.Context(), s.db, id, place(t.Context(), "A"))
	require.NoError(t, err)
	require.Equal(t, txcheck.Commit, answer)
	require.Equal(t, txcheck.Commit, s.check(id), "Commit needs no grace")

	id = s.markers.NewID()
	answer, err = s.markers.Run(t.Context(), s.db, id, func(pgx.Tx) error { return errors.New("no") })
	require.Error(t, err)
	require.Equal(t, txcheck.Rollback, answer, "nor does who knows that it rolled back")
}

func TestForeignHalvesAreNobodysBusiness(t *testing.T) {
	t.Parallel()
	s, other := newService(t, nil), newService(t, nil)
	for _, id := range []string{
		"", "x", other.markers.NewID(), strings.ToUpper(s.markers.NewID()), s.markers.NewID() + "0", s.markers.NewID()[1:],
		strings.ReplaceAll(s.markers.NewID(), "-", ""), "/" + strings.Repeat("z", 1000),
		// Not of version 7: its time would mean nothing.
		strings.Split(s.markers.NewID(), "/")[0] + "/5f0f62d0-2d5d-4a3f-8d6e-0f6a0f0e2b11",
	} {
		answer, err := s.markers.Check(t.Context(), id)
		require.ErrorIs(t, err, txcheck.ErrForeign, "%q", id)
		require.Equal(t, txcheck.Unknown, answer)
		answer, err = s.markers.Run(t.Context(), s.db, id, place(t.Context(), "A"))
		require.ErrorIs(t, err, txcheck.ErrForeign, "%q", id)
		require.Equal(t, txcheck.Unknown, answer)
	}
	var rows int
	require.NoError(t, s.db.QueryRow(t.Context(), `SELECT count(*) FROM outbox_marker`).Scan(&rows))
	require.Zero(t, rows)
	require.False(t, s.placed("A"))
}

// A copy of the database that got an origin of its own does not decide about the original's halves.
func TestOriginIsReadAgainForEachQuestion(t *testing.T) {
	t.Parallel()
	s := newService(t, nil)
	id := s.markers.NewID()
	s.exec(`UPDATE outbox_origin SET origin = gen_random_uuid()`)
	answer, err := s.markers.Check(t.Context(), id)
	require.ErrorIs(t, err, txcheck.ErrForeign)
	require.Equal(t, txcheck.Unknown, answer)
	_, err = s.markers.Run(t.Context(), s.db, id, place(t.Context(), "A"))
	require.ErrorContains(t, err, "outbox_origin has changed")
	require.False(t, s.placed("A"))
}

func TestPurgeNeverMakesAnAnswerWrong(t *testing.T) {
	t.Parallel()
	const retention = time.Minute
	s := newService(t, func(o *txcheck.MarkerOptions) { o.Retention = retention })
	of := func(age time.Duration) string { return s.markers.NewIDAt(time.Now().Add(-age)) }
	insert := func(id string, committed bool) {
		s.exec(`INSERT INTO outbox_marker VALUES ($1, $2)`, strings.Split(id, "/")[1], committed)
	}
	old, older, oldest := of(retention/4), of(retention*3/4), of(2*retention)
	gone, tombstone := of(2*retention), of(2*retention)
	for _, id := range []string{old, older, oldest} {
		insert(id, true)
	}
	insert(tombstone, false)
	require.Equal(t, txcheck.Commit, s.check(oldest), "as long as it is there it counts")

	n, err := s.markers.Purge(t.Context())
	require.NoError(t, err)
	require.Equal(t, int64(2), n)
	require.Equal(t, txcheck.Commit, s.check(old))
	require.Equal(t, txcheck.Commit, s.check(older))
	for _, id := range []string{oldest, gone, tombstone, of(retention * 3 / 4)} {
		answer, err := s.markers.Check(t.Context(), id)
		require.ErrorIs(t, err, txcheck.ErrTooOld)
		require.Equal(t, txcheck.Unknown, answer, "its marker may have been removed: no Rollback")
		_, err = s.markers.Run(t.Context(), s.db, id, place(t.Context(), "A"))
		require.ErrorIs(t, err, txcheck.ErrTooOld, "its tombstone may have been removed: no commit")
	}
	require.False(t, s.placed("A"))
	require.Equal(t, txcheck.Rollback, s.check(of(retention/4)))
}

func TestMarkWithDatabaseSQL(t *testing.T) {
	t.Parallel()
	s := newService(t, nil)
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeCacheStatement, pgx.QueryExecModeSimpleProtocol} {
		config, err := pgx.ParseConfig(s.url)
		require.NoError(t, err)
		config.DefaultQueryExecMode = mode
		db := stdlib.OpenDB(*config)
		t.Cleanup(func() { require.NoError(t, db.Close()) })
		id := s.markers.NewID()
		tx, err := db.BeginTx(t.Context(), nil)
		require.NoError(t, err)
		require.NoError(t, s.markers.MarkSQL(t.Context(), tx, id))
		require.Equal(t, txcheck.Unknown, s.check(id))
		require.NoError(t, tx.Commit())
		require.Equal(t, txcheck.Commit, s.check(id))

		id = s.markers.NewID()
		require.Equal(t, txcheck.Rollback, s.check(id))
		tx, err = db.BeginTx(t.Context(), nil)
		require.NoError(t, err)
		require.ErrorIs(t, s.markers.MarkSQL(t.Context(), tx, id), txcheck.ErrDecided)
		require.NoError(t, tx.Rollback())
	}
}

// Neither answer may be taken back by a crash of PostgreSQL, although the application does not wait for its commits.
func TestAnswersAreOnDisk(t *testing.T) {
	t.Parallel()
	s := newService(t, nil)
	s.exec(`DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database()); END $$`)
	s.db.Reset()
	setting := func(q interface {
		QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	},
	) (value string) {
		require.NoError(t, q.QueryRow(t.Context(), `SHOW synchronous_commit`).Scan(&value))
		return value
	}
	require.Equal(t, "off", setting(s.db))
	_, err := s.markers.Run(t.Context(), s.db, s.markers.NewID(), func(tx pgx.Tx) error {
		require.Equal(t, "on", setting(tx))
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, "off", setting(s.db), "only for that transaction")
	s.exec(`DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = remote_apply', current_database()); END $$`)
	s.db.Reset()
	_, err = s.markers.Run(t.Context(), s.db, s.markers.NewID(), func(tx pgx.Tx) error {
		require.Equal(t, "remote_apply", setting(tx), "it is not made weaker")
		return nil
	})
	require.NoError(t, err)
}

func TestCheckerWithoutADatabase(t *testing.T) {
	t.Parallel()
	s := newService(t, nil)
	id := s.markers.NewID()
	s.markers.Close()
	answer, err := s.markers.Check(t.Context(), id)
	require.Error(t, err)
	require.Equal(t, txcheck.Unknown, answer)

	_, err = txcheck.OpenMarkers(t.Context(), txcheck.MarkerOptions{Database: "postgres://127.0.0.1:1/x"})
	require.ErrorContains(t, err, "transaction markers: ")
	_, err = txcheck.OpenMarkers(t.Context(), txcheck.MarkerOptions{Database: stacktest.Shared(t).Database(t)})
	require.ErrorContains(t, err, "outbox-relay migrate up")
}

// A table that somebody has locked ends in Unknown, in good time.
func TestCheckerBehindALock(t *testing.T) {
	t.Parallel()
	s := newService(t, nil)
	id := s.markers.NewID()
	tx := s.begin(pgx.TxOptions{})
	_, err := tx.Exec(t.Context(), `LOCK TABLE outbox_marker IN ACCESS EXCLUSIVE MODE`)
	require.NoError(t, err)
	answer, err := s.markers.Check(t.Context(), id)
	require.Error(t, err, "the first statement has no lock_timeout yet; the timeout ends it")
	require.Equal(t, txcheck.Unknown, answer)
	require.NoError(t, tx.Rollback(t.Context()))
	require.Equal(t, txcheck.Rollback, s.check(id))
}

func TestMarkerOptionsNameEveryMistake(t *testing.T) {
	t.Parallel()
	_, err := txcheck.OpenMarkers(t.Context(), txcheck.MarkerOptions{
		Grace: 40 * time.Second, Retention: time.Second, LockWait: time.Second, Timeout: time.Second,
	})
	for _, want := range []string{
		"retention: must be at least 1m0s, is 1s", "grace: must be below half the retention (500ms), is 40s",
		"lock wait: must be below the timeout (1s), is 1s", "database: must be set",
	} {
		require.ErrorContains(t, err, want)
	}
	_, err = txcheck.OpenMarkers(t.Context(), txcheck.MarkerOptions{Database: "postgres://%%"})
	require.ErrorContains(t, err, "database: ")
}

// These need servers of their own: two-phase commits are off by default, and a standby is not for everybody.
func TestPreparedTransactionsAndStandbys(t *testing.T) {
	t.Parallel()
	server, err := stack.StartPostgres(t.Context(), stack.Options{PostgresConfig: map[string]string{"max_prepared_transactions": "2"}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	s := newServiceAt(t, server.URL("postgres"), nil)

	for _, end := range []struct {
		verb string
		want txcheck.Answer
	}{{"COMMIT", txcheck.Commit}, {"ROLLBACK", txcheck.Rollback}} {
		id := s.markers.NewID()
		tx := s.begin(pgx.TxOptions{})
		require.NoError(t, s.markers.Mark(t.Context(), tx, id))
		require.NoError(t, place(t.Context(), end.verb)(tx))
		_, err := tx.Exec(t.Context(), `PREPARE TRANSACTION 'p'`)
		require.NoError(t, err)
		require.Equal(t, txcheck.Unknown, s.check(id), "nobody is connected to it, and it may commit still")
		s.exec(end.verb + ` PREPARED 'p'`)
		require.Equal(t, end.want, s.check(id))
		require.Equal(t, end.want == txcheck.Commit, s.placed(end.verb))
	}

	decided := s.markers.NewID()
	require.Equal(t, txcheck.Rollback, s.check(decided))
	standby, err := stack.StartStandby(t.Context(), server, stack.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, standby.Close()) })
	there := openMarkers(t, standby.URL("postgres"), nil)
	for _, id := range []string{s.markers.NewID(), decided} {
		answer, err := there.Check(t.Context(), id)
		require.ErrorIs(t, err, txcheck.ErrStandby)
		require.Equal(t, txcheck.Unknown, answer)
	}
	_, err = there.Run(t.Context(), open(t, standby.URL("postgres")), s.markers.NewID(), place(t.Context(), "S"))
	var pgErr *pgconn.PgError
	require.ErrorAs(t, err, &pgErr)
}
