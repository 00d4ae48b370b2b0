package stack

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const workDirPrefix = "outbox-relay-stack-"

// workDir is the folder of one server, removed when it is closed. A starter that
// was killed cannot remove its folder: the lock beside the folder tells the next
// starter that nobody owns it any more.
type workDir struct {
	path string
	lock *fileLock
}

// newWorkDir makes a folder for the named server inside dir, or inside the
// system's temporary folder if dir is empty.
func newWorkDir(dir, name string) (*workDir, error) {
	if dir == "" {
		dir = os.TempDir()
	}
	sweep(dir)
	for {
		path, err := os.MkdirTemp(dir, workDirPrefix+name+"-")
		if err != nil {
			return nil, fmt.Errorf("make a work folder: %w", err)
		}
		lock, err := tryLock(path + ".lock")
		if errors.Is(err, errLocked) {
			continue // Swept by another starter between making and locking.
		}
		if err != nil {
			return nil, fmt.Errorf("lock the work folder: %w", err)
		}
		// MkdirTemp makes it private, but PostgreSQL may run as another user.
		if err := os.Chmod(path, 0o755); err != nil {
			return nil, fmt.Errorf("open up the work folder: %w", err)
		}
		return &workDir{path: path, lock: lock}, nil
	}
}

func (w *workDir) join(elem ...string) string {
	return filepath.Join(append([]string{w.path}, elem...)...)
}

func (w *workDir) remove() error {
	defer w.lock.remove()
	if err := os.RemoveAll(w.path); err != nil {
		return fmt.Errorf("remove the work folder: %w", err)
	}
	return nil
}

// sweep removes folders whose owner has ended without removing them. It goes by
// the lock files, which are made after their folders: a folder without one is
// just being made.
func sweep(dir string) {
	locks, _ := filepath.Glob(filepath.Join(dir, workDirPrefix+"*.lock")) // The pattern is well-formed.
	for _, path := range locks {
		lock, err := tryLock(path)
		if err != nil {
			continue // In use, or another user's.
		}
		if err := os.RemoveAll(strings.TrimSuffix(path, ".lock")); err != nil {
			lock.unlock()
			continue
		}
		lock.remove()
	}
}
