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

// BadDisk is a native broker's disk that can be made slow or full while the broker
// runs.
type BadDisk struct {
	library, slow, full string
}

// badDisk is a library that is put before the C library: each msync waits, and file
// systems say that nothing is free.
const badDisk = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/statvfs.h>

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

int statvfs64(const char *path, struct statvfs64 *out) {
	static int (*real)(const char *, struct statvfs64 *);
	const char *full = getenv("OUTBOX_FULL_DISK");
	if (!real)
		real = (int (*)(const char *, struct statvfs64 *))dlsym(RTLD_NEXT, "statvfs64");
	int result = real(path, out);
	if (result == 0 && full && access(full, F_OK) == 0)
		out->f_bfree = out->f_bavail = 0;
	return result;
}

int statvfs(const char *path, struct statvfs *out) {
	static int (*real)(const char *, struct statvfs *);
	const char *full = getenv("OUTBOX_FULL_DISK");
	if (!real)
		real = (int (*)(const char *, struct statvfs *))dlsym(RTLD_NEXT, "statvfs");
	int result = real(path, out);
	if (result == 0 && full && access(full, F_OK) == 0)
		out->f_bfree = out->f_bavail = 0;
	return result;
}
`

// NewBadDisk compiles what it needs into dir. It needs a C compiler: without one it
// returns a [MissingError].
func NewBadDisk(ctx context.Context, dir string) (*BadDisk, error) {
	compiler, err := exec.LookPath("cc")
	if err != nil {
		return nil, &MissingError{What: []Prerequisite{Compiler}, Native: true}
	}
	source := filepath.Join(dir, "baddisk.c")
	if err := os.WriteFile(source, []byte(badDisk), 0o644); err != nil {
		return nil, fmt.Errorf("write the source of a bad disk: %w", err)
	}
	d := &BadDisk{library: filepath.Join(dir, "baddisk.so"), slow: filepath.Join(dir, "slow"), full: filepath.Join(dir, "full")}
	var output bytes.Buffer
	cmd := exec.CommandContext(ctx, compiler, "-shared", "-fPIC", "-O1", "-o", d.library, source, "-ldl")
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("compile a bad disk: %w: %s", err, lastLines(output.String(), 5))
	}
	return d, nil
}

// Env is for [Options].Env of the broker.
func (d *BadDisk) Env() []string {
	return []string{"LD_PRELOAD=" + d.library, "OUTBOX_SLOW_DISK=" + d.slow, "OUTBOX_FULL_DISK=" + d.full}
}

// Slow sets by how much longer each msync takes from now on; 0 mends it.
func (d *BadDisk) Slow(by time.Duration) error {
	return switchFile(d.slow, by > 0, fmt.Appendf(nil, "%d", by.Milliseconds()))
}

// Full makes the disk full, or not: the broker looks every ten seconds.
func (d *BadDisk) Full(full bool) error { return switchFile(d.full, full, nil) }

func switchFile(path string, on bool, content []byte) error {
	var err error
	if on {
		err = os.WriteFile(path, content, 0o644)
	} else if err = os.Remove(path); errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err != nil {
		return fmt.Errorf("change the state of the disk: %w", err)
	}
	return nil
}
