package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/stack"
)

func TestCommandIsTheOneThatMatters(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		args   []string
		status int
		err    string
	}{
		"success":     {args: []string{"true"}, status: 0},
		"its status":  {args: []string{"sh", "-c", "exit 3"}, status: 3},
		"killed":      {args: []string{"sh", "-c", "kill -9 $$"}, status: 128 + 9},
		"no command":  {args: []string{"/no/such/command"}, status: exitFailed, err: "/no/such/command"},
		"its environ": {args: []string{"sh", "-c", `test "$OUTBOX_X" = y`}, status: 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, err := runCommand(nil, tc.args, []string{"OUTBOX_X=y"})
			require.Equal(t, tc.status, status)
			if tc.err != "" {
				require.ErrorContains(t, err, tc.err)
			} else {
				require.NoError(t, err)
			}
		})
	}
}

func TestSignalReachesTheWholeGroupAndNothingIsLeft(t *testing.T) {
	t.Parallel()
	ready := filepath.Join(t.TempDir(), "ready")
	signals := make(chan os.Signal, 1)
	statuses := make(chan int, 1)
	go func() {
		// The grandchild ignores the signal and has to be killed.
		status, _ := runCommand(signals, []string{
			"sh", "-c",
			`trap 'exit 7' TERM
			sh -c 'trap "" TERM; echo $$ >"$READY.new"; mv "$READY.new" "$READY"; while :; do sleep 0.1; done' &
			wait`,
		}, []string{"READY=" + ready})
		statuses <- status
	}()
	var grandchild string
	require.Eventually(t, func() bool {
		pid, err := os.ReadFile(ready)
		if err != nil {
			return false
		}
		grandchild = strings.TrimSpace(string(pid))
		return true
	}, 10*time.Second, 5*time.Millisecond)
	signals <- syscall.SIGTERM
	select {
	case status := <-statuses:
		require.Equal(t, 7, status)
	case <-time.After(20 * time.Second):
		t.Fatal("the command did not end")
	}
	require.Eventually(t, func() bool { return !running(grandchild) }, 10*time.Second, 5*time.Millisecond)
}

func TestServersAreThereForTheCommandOnly(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "env")
	status, err := run(t.Context(), nil, []string{"--", "sh", "-c", "env >" + out + "; exit 5"})
	require.NoError(t, err)
	require.Equal(t, 5, status)
	content, err := os.ReadFile(out)
	require.NoError(t, err)
	env := map[string]string{}
	for line := range strings.Lines(string(content)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		env[name] = value
	}
	addresses, ok := stack.AddressesFromEnv(func(name string) string { return env[name] })
	require.True(t, ok)
	_, err = pgx.Connect(t.Context(), addresses.Postgres)
	require.ErrorContains(t, err, "refused", "PostgreSQL is gone with the command")
}

func TestSignalBeforeTheServersAreReadyLeavesNothing(t *testing.T) {
	t.Parallel()
	signals := make(chan os.Signal, 1)
	signals <- syscall.SIGINT
	status, err := run(t.Context(), signals, []string{"--", "true"})
	require.Equal(t, exitFailed, status)
	require.ErrorContains(t, err, "stopped by a signal")
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"--"}} {
		status, err := run(t.Context(), nil, args)
		require.Equal(t, exitFailed, status)
		require.ErrorContains(t, err, "usage")
	}
}

// running reports whether the process is there and no zombie: some machines
// have nobody who waits for orphans.
func running(pid string) bool {
	stat, err := os.ReadFile(filepath.Join("/proc", pid, "stat"))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}
