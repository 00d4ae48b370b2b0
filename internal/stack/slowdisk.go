package stack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// SlowDisk makes a native broker's disk slow: each msync waits, so that a broker
// with flushDiskType=SYNC_FLUSH misses its syncFlushTimeout every time.
type SlowDisk struct {
	library, switchFile string
}

// slowSync is a library that is put before the C library's msync.
const slowSync = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/mman.h>

int msync(void *address, size_t length, int flags) {
	static int (*real)(void *, size_t, int);
	const char *path = getenv("OUTBOX_SLOW_DISK");
	FILE *file = path ? fopen(path, "r") : NULL;
	int milliseconds = 0;
	if (file) {
		if (fscanf(file, "%d", &milliseconds) == 1 && milliseconds > 0)
			usleep(milliseconds * 1000);
		fclose(file);
	}
	if (!real)
		real = (int (*)(void *, size_t, int))dlsym(RTLD_NEXT, "msync");
	return real(address, length, flags);
}
`

// NewSlowDisk compiles what it needs into dir. It needs a C compiler: without one it
// returns a [MissingError].
func NewSlowDisk(ctx context.Context, dir string) (*SlowDisk, error) {
	compiler, err := exec.LookPath("cc")
	if err != nil {
		return nil, &MissingError{What: []Prerequisite{Compiler}, Native: true}
	}
	source := filepath.Join(dir, "slowsync.c")
	if err := os.WriteFile(source, []byte(slowSync), 0o644); err != nil {
		return nil, fmt.Errorf("write the source of a slow disk: %w", err)
	}
	d := &SlowDisk{library: filepath.Join(dir, "slowsync.so"), switchFile: filepath.Join(dir, "milliseconds")}
	var output bytes.Buffer
	cmd := exec.CommandContext(ctx, compiler, "-shared", "-fPIC", "-O1", "-o", d.library, source, "-ldl")
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("compile a slow disk: %w: %s", err, lastLines(output.String(), 5))
	}
	return d, nil
}

// Env is for [Options].Env of the broker.
func (d *SlowDisk) Env() []string {
	return []string{"LD_PRELOAD=" + d.library, "OUTBOX_SLOW_DISK=" + d.switchFile}
}

// Slow sets by how much longer each msync takes from now on; 0 mends the disk.
func (d *SlowDisk) Slow(by time.Duration) error {
	var err error
	if by == 0 {
		if err = os.Remove(d.switchFile); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	} else {
		err = os.WriteFile(d.switchFile, fmt.Appendf(nil, "%d", by.Milliseconds()), 0o644)
	}
	if err != nil {
		return fmt.Errorf("change how slow the disk is: %w", err)
	}
	return nil
}
