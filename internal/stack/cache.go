package stack

import (
	"context"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
)

// cacheDir is where fetched servers are kept: outbox-relay in the user's cache
// folder. When the files are for a server that runs as another user and that
// user cannot enter it (root's home is often closed), it is in /var/cache.
func cacheDir(reader *user.User) string {
	base, err := os.UserCacheDir()
	if err != nil {
		return filepath.Join(os.TempDir(), "outbox-relay-cache-"+strconv.Itoa(os.Getuid()))
	}
	dir := filepath.Join(base, "outbox-relay")
	if reader != nil && checkPassable(dir, reader) != nil {
		return "/var/cache/outbox-relay"
	}
	return dir
}

// fillOnce makes sure that dir exists with what fill puts into it. Parallel
// callers wait for each other, in this process and in others; dir appears whole
// or not at all.
func fillOnce(ctx context.Context, dir string, fill func(tmp string) error) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	parent := filepath.Dir(dir)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return fmt.Errorf("make the cache folder: %w", err)
	}
	lock, err := waitLock(ctx, dir+".lock")
	if err != nil {
		return err
	}
	defer lock.unlock()
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	tmp, err := os.MkdirTemp(parent, filepath.Base(dir)+".new-")
	if err != nil {
		return fmt.Errorf("make a cache folder: %w", err)
	}
	defer os.RemoveAll(tmp) //nolint:errcheck // Gone after the rename; else a leftover in a cache.
	if err := os.Chmod(tmp, 0o755); err != nil {
		return fmt.Errorf("open up the cache folder: %w", err)
	}
	if err := fill(tmp); err != nil {
		return err
	}
	if err := os.Rename(tmp, dir); err != nil {
		return fmt.Errorf("put the cache folder in place: %w", err)
	}
	return nil
}
