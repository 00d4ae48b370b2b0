package stack

import (
	"context"
	"path/filepath"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// acknowledged inserts numbers, each in a transaction of its own, until the server
// is gone, and returns those that were acknowledged.
func acknowledged(t *testing.T, p *Postgres, started *sync.WaitGroup) []int {
	conn, err := pgx.Connect(t.Context(), p.URL("postgres"))
	if err != nil {
		t.Error(err)
		started.Done()
		return nil
	}
	defer conn.Close(context.Background()) //nolint:errcheck // It is broken by now.
	var done []int
	for {
		var n int
		if err := conn.QueryRow(context.Background(), "INSERT INTO kept DEFAULT VALUES RETURNING n").Scan(&n); err != nil {
			return done
		}
		done = append(done, n)
		if len(done) == 20 {
			started.Done()
		}
	}
}

func TestStandbyHasEveryAcknowledgedCommit(t *testing.T) {
	t.Parallel()
	opts := Options{Engine: EngineNative}
	primary := newPostgres(t, opts)
	standby, err := StartStandby(t.Context(), primary, opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, standby.Close()) })
	conn, err := pgx.Connect(t.Context(), primary.URL("postgres"))
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), "CREATE TABLE kept (n int GENERATED ALWAYS AS IDENTITY PRIMARY KEY)")
	require.NoError(t, err)
	require.NoError(t, conn.Close(t.Context()))
	_, err = query(t, standby, "WITH i AS (INSERT INTO kept DEFAULT VALUES RETURNING n) SELECT n::text FROM i")
	require.ErrorContains(t, err, "read-only")

	const writers = 4
	var started, writing sync.WaitGroup
	var mu sync.Mutex
	var kept []int
	started.Add(writers)
	for range writers {
		writing.Go(func() {
			mine := acknowledged(t, primary, &started)
			mu.Lock()
			defer mu.Unlock()
			kept = append(kept, mine...)
		})
	}
	started.Wait()
	require.NoError(t, primary.Kill())
	writing.Wait()
	require.NoError(t, standby.Promote(t.Context()))

	conn, err = pgx.Connect(t.Context(), standby.URL("postgres"))
	require.NoError(t, err)
	defer conn.Close(context.Background()) //nolint:errcheck // The end of the test.
	var missing int
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT count(*) FROM unnest($1::int[]) acknowledged
		WHERE acknowledged NOT IN (SELECT n FROM kept)`, kept).Scan(&missing))
	require.Zero(t, missing, "of %d acknowledged", len(kept))
	_, err = conn.Exec(t.Context(), "INSERT INTO kept DEFAULT VALUES")
	require.NoError(t, err, "it takes writes, and waits for no standby")
}

// A commit that the standby has not got is not acknowledged.
func TestCommitWaitsForTheStandby(t *testing.T) {
	t.Parallel()
	opts := Options{Engine: EngineNative}
	primary := newPostgres(t, opts)
	standby, err := StartStandby(t.Context(), primary, opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, standby.Close()) })
	require.NoError(t, standby.Pause())
	answered := make(chan error, 1)
	go func() {
		conn, err := pgx.Connect(context.Background(), primary.URL("postgres"))
		if err == nil {
			_, err = conn.Exec(context.Background(), "CREATE TABLE late ()")
			_ = conn.Close(context.Background())
		}
		answered <- err
	}()
	eventually(t, func() bool {
		n, err := query(t, primary, "SELECT count(*)::text FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
		return err == nil && n == "1"
	})
	require.Empty(t, answered)
	require.NoError(t, standby.Resume())
	require.NoError(t, <-answered)
}

func TestStandbyWithoutBaseBackupIsMissing(t *testing.T) {
	t.Parallel()
	p := newPostgres(t, Options{Engine: EngineNative})
	bin := t.TempDir()
	executable(t, filepath.Join(bin, "postgres"))
	_, err := StartStandby(t.Context(), p, Options{Engine: EngineNative, PostgresBin: bin})
	var missing *MissingError
	require.ErrorAs(t, err, &missing)
	require.Equal(t, []Prerequisite{Replica}, missing.What)
	require.ErrorContains(t, err, "start a standby: install PostgreSQL with its pg_basebackup")
}
