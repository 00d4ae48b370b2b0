package stack

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// process is a child in a process group of its own that ends when this program
// does, however this program ends.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // Closed when the child has ended and was waited for.
	err  error         // Valid after done.
}

// startProcess starts cmd with its output appended to the file logPath. The
// kernel sends the parent death signal when the *thread* that started the child
// ends, so a goroutine keeps that thread for as long as the child lives.
func startProcess(cmd *exec.Cmd, logPath string) (*process, error) {
	log, err := os.OpenFile(logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the log of %s: %w", cmd.Path, err)
	}
	defer log.Close() //nolint:errcheck // The child has its own copy of the descriptor.
	cmd.Stdout, cmd.Stderr = log, log
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	endWithParent(cmd.SysProcAttr)

	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		started <- nil
		p.err = cmd.Wait()
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// ended reports whether the child has ended.
func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// signal sends sig to the child alone; a child that has ended is no error.
func (p *process) signal(sig syscall.Signal) error {
	err := p.cmd.Process.Signal(sig)
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("send %s to process %d: %w", sig, p.pid(), err)
	}
	return nil
}

// signalFamily sends sig to the child, its group and its children: PostgreSQL
// gives each backend a group of its own.
func (p *process) signalFamily(sig syscall.Signal) error {
	if p.ended() {
		return nil
	}
	children := childrenOf(p.pid())
	err := syscall.Kill(-p.pid(), sig)
	for _, child := range children {
		err = errors.Join(err, ignoreGone(syscall.Kill(child, sig)))
	}
	if err := ignoreGone(err); err != nil {
		return fmt.Errorf("send %s to process %d and its children: %w", sig, p.pid(), err)
	}
	return nil
}

func ignoreGone(err error) error {
	if errors.Is(err, syscall.ESRCH) {
		return nil
	}
	return err
}
