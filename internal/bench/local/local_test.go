package local

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// Starting is shown by TestEveryCaseRuns of package bench.
func TestBrokersOfBothKinds(t *testing.T) {
	t.Parallel()
	o := Options{Async: 2, Sync: 1}
	for i, want := range []string{"async", "async", "sync"} {
		require.Equal(t, want, flush(i, o))
	}
	require.Equal(t, "sync", flush(0, Options{Sync: 1}))
}

func TestOnlyDebeziumNeedsLogicalDecoding(t *testing.T) {
	t.Parallel()
	require.NotContains(t, postgresConfig(false), "wal_level")
	require.Equal(t, "logical", postgresConfig(true)["wal_level"])
	require.NotContains(t, postgresConfig(true), "fsync", "it is on unless it is said to be off")
}

// PostgreSQL's own user must be able to enter it.
func TestFolderCanBeEntered(t *testing.T) {
	t.Parallel()
	dir, err := Dir()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	info, err := os.Stat(dir)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o755), info.Mode().Perm())
}
