package main

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
)

// A kill is a crash: what the relay would do on any other signal does not happen.
func TestKillIsACrash(t *testing.T) {
	t.Parallel()
	r := scripted(t, `trap 'echo tidied' TERM INT HUP EXIT; echo up; while :; do sleep 0.02; done`)
	for range 2 { // and it can be started again
		require.NoError(t, r.start())
		r.log(t)
		process := r.process
		require.NoError(t, r.kill())
		require.Nil(t, r.process)
		require.ErrorContains(t, process.err, "signal: killed")
		require.NotContains(t, r.log(t), "tidied")
	}
}

// A Ctrl-C in the terminal goes to the whole group in the foreground: the relay is in another, or the demo could not end it in
// order.
func TestChildIsInItsOwnGroup(t *testing.T) {
	t.Parallel()
	sleep, err := exec.LookPath("sleep")
	require.NoError(t, err)
	c, err := startChild(exec.CommandContext(t.Context(), sleep, "60"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.kill()) })
	group, err := syscall.Getpgid(c.cmd.Process.Pid)
	require.NoError(t, err)
	require.Equal(t, c.cmd.Process.Pid, group)
	own, err := syscall.Getpgid(os.Getpid())
	require.NoError(t, err)
	require.NotEqual(t, own, group)
}

func TestSignalsToAChild(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "out")
	path := script(t, `trap 'echo hup >>`+out+`' HUP; echo up >>`+out+`; while :; do sleep 0.02; done`)
	c, err := startChild(exec.CommandContext(t.Context(), path))
	require.NoError(t, err)
	says := func(want string) {
		require.Eventually(t, func() bool {
			text, _ := os.ReadFile(out)
			return string(bytes.TrimSpace(text)) == want
		}, 20*time.Second, 5*time.Millisecond, want)
	}
	says("up")
	require.NoError(t, c.signal(syscall.SIGHUP))
	says("up\nhup")
	select {
	case <-c.done:
		t.Fatal("it ended")
	default:
	}
	require.NoError(t, c.kill())
	require.NoError(t, c.signal(syscall.SIGHUP), "to one that is gone is no error")
}

// The exit status of a child that ends by itself is known once it has.
func TestChildThatEnds(t *testing.T) {
	t.Parallel()
	for _, code := range []int{0, 1, 42} {
		c, err := startChild(exec.CommandContext(t.Context(), script(t, "exit "+strconv.Itoa(code))))
		require.NoError(t, err)
		<-c.done
		if code == 0 {
			require.NoError(t, c.err)
		} else {
			require.EqualError(t, c.err, "exit status "+strconv.Itoa(code))
		}
	}
}

// A demo that is itself killed leaves no relay behind.
func TestChildDiesWithItsParent(t *testing.T) {
	t.Parallel()
	if os.Getenv("TEST_BINARY_IS_PARENT") != "" {
		sleep, err := exec.LookPath("sleep")
		require.NoError(t, err)
		c, err := startChild(exec.Command(sleep, "120")) //nolint:noctx // Its parent's death is what ends it.
		require.NoError(t, err)
		_, err = os.Stdout.WriteString("child " + strconv.Itoa(c.cmd.Process.Pid) + "\n")
		require.NoError(t, err)
		<-c.done
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
