package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// errLocked says that another process, or another part of this one, holds the lock.
var errLocked = errors.New("locked by another process")

// fileLock is an advisory lock that the kernel drops when the process ends.
type fileLock struct {
	file *os.File
}

// tryLock takes the lock of the file at path, which it creates.
func tryLock(path string) (*fileLock, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = file.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errLocked
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	// Whoever held it before may have removed the file in between; a lock on a
	// file that nobody else can open locks nothing.
	held, err := file.Stat()
	if err == nil {
		var named os.FileInfo
		if named, err = os.Stat(path); err == nil && os.SameFile(held, named) {
			return &fileLock{file: file}, nil
		}
	}
	_ = file.Close()
	return nil, errLocked
}

// waitLock takes the lock as soon as it is free.
func waitLock(ctx context.Context, path string) (*fileLock, error) {
	for {
		lock, err := tryLock(path)
		if !errors.Is(err, errLocked) {
			return lock, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the lock %s: %w", path, context.Cause(ctx))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// unlock lets the next one in and leaves the file.
func (l *fileLock) unlock() {
	_ = l.file.Close()
}

// remove removes the file before it lets the next one in.
func (l *fileLock) remove() {
	_ = os.Remove(l.file.Name())
	_ = l.file.Close()
}
