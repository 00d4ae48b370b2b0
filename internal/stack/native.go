package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/outbox-relay/outbox-relay/internal/child"
)

// native runs a server as a child process.
type native struct {
	dir     *workDir
	ports   *portSlot
	logPath string
	// command makes the command of one start.
	command func() *exec.Cmd
	// quit asks the server to end cleanly.
	quit syscall.Signal
	// gone, if set, cleans up after a process that has ended.
	gone func(pid int)
	proc *child.Process
}

var _ runner = (*native)(nil)

func (n *native) start(context.Context) error {
	if n.proc != nil && !n.proc.Ended() {
		return errRunning
	}
	n.cleanUp()
	proc, err := startLogged(n.command(), n.logPath)
	if err != nil {
		return err
	}
	n.proc = proc
	return nil
}

// cleanUp is for a process that has ended, whoever ended it.
func (n *native) cleanUp() {
	if n.proc != nil && n.gone != nil {
		n.gone(n.proc.PID())
	}
}

func (n *native) stop(ctx context.Context) error {
	if n.proc == nil {
		return nil
	}
	if err := n.proc.Signal(n.quit); err != nil {
		return err
	}
	select {
	case <-n.proc.Done():
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for process %d to end: %w", n.proc.PID(), context.Cause(ctx))
	}
}

// kill ends the process and its children and returns when they are gone, so that
// the server can be started again on the same data at once.
func (n *native) kill() error {
	if n.proc == nil || n.proc.Ended() {
		return nil
	}
	children := child.Of(n.proc.PID())
	if err := n.proc.SignalFamily(syscall.SIGKILL); err != nil {
		return err
	}
	<-n.proc.Done()
	deadline := time.Now().Add(10 * time.Second)
	for _, pid := range children {
		// Orphans belong to init now, and only it can wait for them.
		for child.Alive(pid) && time.Now().Before(deadline) {
			time.Sleep(time.Millisecond)
		}
	}
	return nil
}

func (n *native) pause() error  { return n.signalRunning(syscall.SIGSTOP) }
func (n *native) resume() error { return n.signalRunning(syscall.SIGCONT) }

func (n *native) signalRunning(sig syscall.Signal) error {
	if err := n.ended(); err != nil {
		return err
	}
	return n.proc.SignalFamily(sig)
}

func (n *native) pid() int {
	if n.proc == nil || n.proc.Ended() {
		return 0
	}
	return n.proc.PID()
}

func (n *native) ended() error {
	if n.proc == nil {
		return errors.New("it was not started")
	}
	if !n.proc.Ended() {
		return nil
	}
	return fmt.Errorf("it ended (%s): %s", n.proc.State(), lastLines(n.log(), 8))
}

func (n *native) log() string {
	log, err := os.ReadFile(n.logPath)
	if err != nil {
		return err.Error()
	}
	return string(log)
}

func (n *native) close() error {
	err := n.kill()
	n.cleanUp()
	n.ports.release()
	return errors.Join(err, n.dir.remove())
}

// startLogged starts cmd with its output appended to the file logPath.
func startLogged(cmd *exec.Cmd, logPath string) (*child.Process, error) {
	log, err := os.OpenFile(logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the log of %s: %w", cmd.Path, err)
	}
	defer log.Close() //nolint:errcheck // The child has its own copy of the descriptor.
	cmd.Stdout, cmd.Stderr = log, log
	return child.Start(cmd)
}
