package child_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/child"
	"github.com/outbox-relay/outbox-relay/internal/child/childtest"
)

// script writes a shell script.
func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "script")
	childtest.Script(t, path, text)
	return path
}

// A family is signalled as a whole, also what has a group of its own, as PostgreSQL's backends have.
func TestFamily(t *testing.T) {
	t.Parallel()
	c, err := child.Start(exec.CommandContext(t.Context(), script(t, "setsid sleep 60 & sleep 60 & wait")))
	require.NoError(t, err)
	var family []int
	require.Eventually(t, func() bool { family = child.Of(c.PID()); return len(family) == 2 }, 20*time.Second, 5*time.Millisecond)
	require.False(t, c.Ended())
	require.NoError(t, c.Err())
	require.NoError(t, c.SignalFamily(syscall.SIGKILL))
	<-c.Done()
	for _, pid := range family {
		require.Eventually(t, func() bool { return !child.Alive(pid) }, 20*time.Second, 5*time.Millisecond)
	}
	require.NoError(t, c.SignalFamily(syscall.SIGKILL), "one that is gone is no error")
	require.Equal(t, -1, c.State().ExitCode())
}

// TestChildIsKilled also shows that a process that is gone already is no error.
func TestChildIsKilled(t *testing.T) {
	t.Parallel()
	sleep, err := exec.LookPath("sleep")
	require.NoError(t, err)
	c, err := child.Start(exec.CommandContext(t.Context(), sleep, "60"))
	require.NoError(t, err)
	require.NoError(t, c.Kill())
	require.ErrorContains(t, c.Err(), "killed")
	require.NoError(t, c.Kill())
	_, err = child.Start(exec.CommandContext(t.Context(), filepath.Join(t.TempDir(), "missing")))
	require.ErrorIs(t, err, os.ErrNotExist)
}

// A Ctrl-C in the terminal goes to the whole group in the foreground: the relay is in another, or the demo could not end it in
// order.
func TestChildIsInItsOwnGroup(t *testing.T) {
	t.Parallel()
	sleep, err := exec.LookPath("sleep")
	require.NoError(t, err)
	c, err := child.Start(exec.CommandContext(t.Context(), sleep, "60"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Kill()) })
	group, err := syscall.Getpgid(c.PID())
	require.NoError(t, err)
	require.Equal(t, c.PID(), group)
	own, err := syscall.Getpgid(os.Getpid())
	require.NoError(t, err)
	require.NotEqual(t, own, group)
}

func TestSignalsToAChild(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "out")
	path := script(t, `trap 'echo hup >>`+out+`' HUP; echo up >>`+out+`; while :; do sleep 0.02; done`)
	c, err := child.Start(exec.CommandContext(t.Context(), path))
	require.NoError(t, err)
	says := func(want string) {
		require.Eventually(t, func() bool {
			text, _ := os.ReadFile(out)
			return string(bytes.TrimSpace(text)) == want
		}, 20*time.Second, 5*time.Millisecond, want)
	}
	says("up")
	require.NoError(t, c.Signal(syscall.SIGHUP))
	says("up\nhup")
	select {
	case <-c.Done():
		t.Fatal("it ended")
	default:
	}
	require.NoError(t, c.Kill())
	require.NoError(t, c.Signal(syscall.SIGHUP), "to one that is gone is no error")
}

// The exit status of a child that ends by itself is known once it has.
func TestChildThatEnds(t *testing.T) {
	t.Parallel()
	for _, code := range []int{0, 1, 42} {
		c, err := child.Start(exec.CommandContext(t.Context(), script(t, "exit "+strconv.Itoa(code))))
		require.NoError(t, err)
		<-c.Done()
		if code == 0 {
			require.NoError(t, c.Err())
		} else {
			require.EqualError(t, c.Err(), "exit status "+strconv.Itoa(code))
		}
	}
}

// A demo that is itself killed leaves no relay behind.
func TestChildDiesWithItsParent(t *testing.T) {
	t.Parallel()
	if os.Getenv("TEST_BINARY_IS_PARENT") != "" {
		sleep, err := exec.LookPath("sleep")
		require.NoError(t, err)
		c, err := child.Start(exec.Command(sleep, "120")) //nolint:noctx // Its parent's death is what ends it.
		require.NoError(t, err)
		_, err = os.Stdout.WriteString("child " + strconv.Itoa(c.PID()) + "\n")
		require.NoError(t, err)
		<-c.Done()
		return
	}
	parent := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChildDiesWithItsParent$") //nolint:gosec // It is this program.
	parent.Env = append(os.Environ(), "TEST_BINARY_IS_PARENT=1")
	out, err := parent.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, parent.Start())
	line := make([]byte, 64)
	n, err := out.Read(line)
	require.NoError(t, err)
	number, ok := strings.CutPrefix(strings.TrimSpace(string(line[:n])), "child ")
	require.True(t, ok, string(line[:n]))
	pid, err := strconv.Atoi(number)
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(pid, 0))
	require.NoError(t, parent.Process.Kill())
	require.Error(t, parent.Wait())
	require.Eventually(t, func() bool {
		stat, err := os.ReadFile(filepath.Join("/proc", number, "stat"))
		return err != nil || bytes.Contains(stat, []byte(") Z ")) // gone, or waiting for an init that reaps it
	}, 20*time.Second, 5*time.Millisecond)
}
