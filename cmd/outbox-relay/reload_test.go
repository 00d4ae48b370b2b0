package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// SIGHUP neither ends the process nor is it ignored.
func TestHangupHasTheSettingsReadAgain(t *testing.T) {
	t.Parallel()
	environ, _, _ := world(t)
	file := filepath.Join(t.TempDir(), "relay.yaml")
	require.NoError(t, os.WriteFile(file, []byte("batch: {rows: 10}\n"), 0o600))
	code, _, _ := do(t, environ, "migrate", "up")
	require.Zero(t, code)
	relay := begin(t, environ, "run", "--config", file)
	relay.says(`"ready":true`)
	require.NoError(t, os.WriteFile(file, []byte("batch: {rowz: 10}\n"), 0o600))
	relay.signal(syscall.SIGHUP)
	relay.says(`did you mean batch.rows?`)
	relay.says(`settings not reloaded`)
	require.NoError(t, os.WriteFile(file, []byte("batch: {rows: 20}\nlog: {level: debug}\n"), 0o600))
	relay.signal(syscall.SIGHUP)
	relay.says(`"changed":"batch.rows, log.level","need_restart":""`)
	relay.signal(syscall.SIGTERM)
	require.Zero(t, relay.code())
}
