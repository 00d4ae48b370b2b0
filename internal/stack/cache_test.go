package stack

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCacheIsFilledOnceForParallelUsers(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "cache", "server-1")
	var fills atomic.Int32
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			err := fillOnce(t.Context(), dir, func(tmp string) error {
				fills.Add(1)
				return os.WriteFile(filepath.Join(tmp, "file"), []byte("whole"), 0o644)
			})
			if err != nil {
				t.Error(err)
			}
			content, err := os.ReadFile(filepath.Join(dir, "file"))
			if err != nil || string(content) != "whole" {
				t.Errorf("got %q, %v", content, err)
			}
		})
	}
	wait.Wait()
	require.EqualValues(t, 1, fills.Load())
}

func TestFailedFillLeavesNothingAndIsTriedAgain(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "server-1")
	cut := errors.New("network cut")
	err := fillOnce(t.Context(), dir, func(tmp string) error {
		require.NoError(t, os.WriteFile(filepath.Join(tmp, "file"), []byte("ha"), 0o644))
		return cut
	})
	require.ErrorIs(t, err, cut)
	require.NoDirExists(t, dir)
	require.NoError(t, fillOnce(t.Context(), dir, func(string) error { return nil }))
	require.DirExists(t, dir)
	left, err := filepath.Glob(dir + ".new-*")
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestLockOfARemovedFileLocksNothing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	first, err := tryLock(path)
	require.NoError(t, err)
	_, err = tryLock(path)
	require.ErrorIs(t, err, errLocked)
	first.remove()
	second, err := tryLock(path)
	require.NoError(t, err)
	second.unlock()
	require.FileExists(t, path)
}
