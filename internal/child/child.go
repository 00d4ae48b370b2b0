// Package child runs a program that ends when this one does, however this one ends.
//
//	c, err := child.Start(exec.Command("outbox-relay", "run"))
//	defer c.Kill()
//
// A child is in a process group of its own, so that a Ctrl-C in the terminal reaches this program alone, which can then end
// the child in good order. On Linux the kernel kills it when this program is killed.
package child

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// A Process is a child that was started.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error
}

// Start starts cmd. The kernel sends the parent death signal when the thread that started the child ends, not the process, so
// a goroutine keeps that thread for as long as the child lives.
func Start(cmd *exec.Cmd) (*Process, error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	endWithParent(cmd.SysProcAttr)
	p := &Process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			close(p.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	return p, nil
}

// PID is the child's process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the child has ended and was waited for.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err says how the child ended, as [exec.Cmd.Wait] does; nil for a success, and while it runs.
func (p *Process) Err() error {
	if !p.Ended() {
		return nil
	}
	return p.err
}

// State is what is known of a child that has ended.
func (p *Process) State() *os.ProcessState { return p.cmd.ProcessState }

// Ended reports whether the child has ended.
func (p *Process) Ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Signal sends sig to the child alone; a child that has ended is no error.
func (p *Process) Signal(sig syscall.Signal) error {
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("send %s to process %d: %w", sig, p.PID(), err)
	}
	return nil
}

// SignalFamily sends sig to the child, its group and its own children: PostgreSQL gives each backend a group of its own.
func (p *Process) SignalFamily(sig syscall.Signal) error {
	if p.Ended() {
		return nil
	}
	children := Of(p.PID())
	err := ignoreGone(syscall.Kill(-p.PID(), sig))
	for _, pid := range children {
		err = errors.Join(err, ignoreGone(syscall.Kill(pid, sig)))
	}
	if err != nil {
		return fmt.Errorf("send %s to process %d and its children: %w", sig, p.PID(), err)
	}
	return nil
}

func ignoreGone(err error) error {
	if errors.Is(err, syscall.ESRCH) {
		return nil
	}
	return err
}

// Kill ends the child by SIGKILL, as a crash would, and returns when it is gone.
func (p *Process) Kill() error {
	if err := p.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.done
	return nil
}
