package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
)

// beMain makes the test binary be the command: the tests run the real main, signals and exit codes included, with the race
// detector on. Its name does not start with OUTBOX_RELAY_, or it would be a mistake in the settings.
const beMain = "TEST_BINARY_IS_OUTBOX_RELAY"

func TestMain(m *testing.M) {
	if os.Getenv(beMain) != "" {
		main()
		return
	}
	os.Exit(stacktest.M{M: m}.Run())
}

// patience is for what takes a second on a machine that does nothing else.
const (
	patience = 40 * time.Second
	tick     = 20 * time.Millisecond
)

// command is one process.
type command struct {
	t              *testing.T
	cmd            *exec.Cmd
	stdout, stderr output
	ended          chan struct{}
}

// begin starts the command with nothing in its environment but environ.
func begin(t *testing.T, environ []string, args ...string) *command {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	c := &command{t: t, cmd: exec.CommandContext(ctx, self, args...), ended: make(chan struct{})}
	c.cmd.Env = append([]string{beMain + "=1", "PATH=" + os.Getenv("PATH")}, environ...)
	c.cmd.Stdout, c.cmd.Stderr = &c.stdout, &c.stderr
	require.NoError(t, c.cmd.Start())
	go func() {
		defer close(c.ended)
		_ = c.cmd.Wait() // The state holds the exit code.
	}()
	t.Cleanup(func() {
		cancel()
		<-c.ended
		if t.Failed() {
			t.Logf("outbox-relay %s\n%s%s", strings.Join(args, " "), c.stdout.String(), c.stderr.String())
		}
	})
	return c
}

// code waits for the end and returns the exit code.
func (c *command) code() int {
	c.t.Helper()
	select {
	case <-c.ended:
		return c.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		c.t.Fatal("it does not end")
		return -1
	}
}

func (c *command) signal(s syscall.Signal) {
	c.t.Helper()
	if err := c.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		c.t.Fatal(err)
	}
}

// says waits until text is on standard error.
func (c *command) says(text string) {
	c.t.Helper()
	require.Eventually(c.t, func() bool { return strings.Contains(c.stderr.String(), text) }, patience, 10*time.Millisecond, text)
}

// do runs the command to its end.
func do(t *testing.T, environ []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	c := begin(t, environ, args...)
	code = c.code()
	return code, c.stdout.String(), c.stderr.String()
}

type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
