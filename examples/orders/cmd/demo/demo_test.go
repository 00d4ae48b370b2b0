package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestDemo is the demo, shorter: real servers, the real relay, a kill in the middle.
func TestDemo(t *testing.T) {
	t.Parallel()
	s := defaultSettings()
	s.duration, s.killAfter, s.down, s.linger = 6*time.Second, 2*time.Second, 500*time.Millisecond, time.Second
	var out bytes.Buffer
	verdict, err := demo(t.Context(), s, &console{out: &out})
	t.Log(out.String())
	require.NoError(t, err)
	require.True(t, verdict.OK(), "%+v", verdict)
	require.Greater(t, verdict.Committed, 900)
	require.Equal(t, verdict.Committed, verdict.Delivered)
	require.Positive(t, verdict.RolledBack)
	for _, want := range []string{"KILL", "RESTART", "CAUGHT UP", "without the kill", "exactly once"} {
		require.Contains(t, out.String(), want)
	}
}

func TestDemoSaysWhatFailed(t *testing.T) {
	t.Parallel()
	s := defaultSettings()
	var err error
	s.relay, err = exec.LookPath("false")
	require.NoError(t, err)
	var out bytes.Buffer
	_, err = demo(t.Context(), s, &console{out: &out})
	require.ErrorContains(t, err, "outbox-relay migrate up: exit status 1")
}

// TestChildIsKilled also shows that a process that is gone already is no error.
func TestChildIsKilled(t *testing.T) {
	t.Parallel()
	sleep, err := exec.LookPath("sleep")
	require.NoError(t, err)
	c, err := startChild(exec.CommandContext(t.Context(), sleep, "60"))
	require.NoError(t, err)
	require.NoError(t, c.kill())
	require.ErrorContains(t, c.err, "killed")
	require.NoError(t, c.kill())
	_, err = startChild(exec.CommandContext(t.Context(), filepath.Join(t.TempDir(), "missing")))
	require.ErrorIs(t, err, os.ErrNotExist)
}
