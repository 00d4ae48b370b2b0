// Package childtest writes programs for tests to run.
package childtest

import (
	"os"
	"syscall"
	"testing"
)

// Script writes a shell script that can be run at once. Nobody forks while the file is open: a child would inherit it, and until that
// has called exec the script could not be run ("text file busy", go.dev/issue/22315).
func Script(t testing.TB, path, text string) {
	t.Helper()
	syscall.ForkLock.RLock()
	err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755) //nolint:gosec // It is to be run.
	syscall.ForkLock.RUnlock()
	if err != nil {
		t.Fatal(err)
	}
}
