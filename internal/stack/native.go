package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
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
	proc *process
}

var _ runner = (*native)(nil)

func (n *native) start(context.Context) error {
	if n.proc != nil && !n.proc.ended() {
		return errRunning
	}
	n.cleanUp()
	proc, err := startProcess(n.command(), n.logPath)
	if err != nil {
		return err
	}
	n.proc = proc
	return nil
}

// cleanUp is for a process that has ended, whoever ended it.
func (n *native) cleanUp() {
	if n.proc != nil && n.gone != nil {
		n.gone(n.proc.pid())
	}
}

func (n *native) stop(ctx context.Context) error {
	if n.proc == nil {
		return nil
	}
	if err := n.proc.signal(n.quit); err != nil {
		return err
	}
	select {
	case <-n.proc.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for process %d to end: %w", n.proc.pid(), context.Cause(ctx))
	}
}

// kill ends the process and its children and returns when they are gone, so that
// the server can be started again on the same data at once.
func (n *native) kill() error {
	if n.proc == nil || n.proc.ended() {
		return nil
	}
	children := childrenOf(n.proc.pid())
	if err := n.proc.signalFamily(syscall.SIGKILL); err != nil {
		return err
	}
	<-n.proc.done
	deadline := time.Now().Add(10 * time.Second)
	for _, child := range children {
		// Orphans belong to init now, and only it can wait for them.
		for alive(child) && time.Now().Before(deadline) {
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
	return n.proc.signalFamily(sig)
}

func (n *native) pid() int {
	if n.proc == nil || n.proc.ended() {
		return 0
	}
	return n.proc.pid()
}

func (n *native) ended() error {
	if n.proc == nil {
		return errors.New("it was not started")
	}
	if !n.proc.ended() {
		return nil
	}
	return fmt.Errorf("it ended (%s): %s", n.proc.cmd.ProcessState, lastLines(n.log(), 8))
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
