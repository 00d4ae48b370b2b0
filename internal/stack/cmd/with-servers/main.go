// Command with-servers runs a command with PostgreSQL and RocketMQ beside it:
//
//	with-servers -- go test ./...
//
// It starts the servers, tells the command where they are through the variables
// OUTBOX_TEST_POSTGRES_URL, OUTBOX_TEST_NAMESRV and OUTBOX_TEST_BROKER, passes
// signals on, removes the servers and exits with the command's status.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/outbox-relay/outbox-relay/internal/stack"
)

// exitFailed is for failures of with-servers itself, which a command is unlikely
// to use.
const exitFailed = 125

func main() {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	status, err := run(context.Background(), signals, os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "with-servers:", err)
	}
	os.Exit(status)
}

func run(ctx context.Context, signals <-chan os.Signal, args []string) (status int, err error) {
	if dashes := slices.Index(args, "--"); dashes >= 0 {
		args = args[dashes+1:]
	}
	if len(args) == 0 {
		return exitFailed, errors.New("usage: with-servers -- command [argument …]")
	}
	servers, stopped, err := start(ctx, signals)
	if err != nil {
		return exitFailed, err
	}
	if stopped {
		return exitFailed, errors.New("stopped by a signal before the servers were ready")
	}
	defer func() { err = errors.Join(err, servers.Close()) }()
	return runCommand(signals, args, servers.Addresses().Environ())
}

// start starts the servers unless a signal comes first.
func start(ctx context.Context, signals <-chan os.Signal) (_ *stack.Servers, stopped bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		servers *stack.Servers
		err     error
	}
	results := make(chan result, 1)
	go func() {
		servers, err := stack.Start(ctx, stack.Options{
			Logger:       slog.New(slog.NewTextHandler(os.Stderr, nil)),
			BrokerConfig: stack.FastTransactions(),
		})
		results <- result{servers, err}
	}()
	select {
	case r := <-results:
		return r.servers, false, r.err
	case <-signals:
		cancel()
		if r := <-results; r.err == nil {
			return nil, true, r.servers.Close()
		}
		return nil, true, nil
	}
}

// runCommand runs the command in a process group of its own, so that a signal
// reaches what the command started, too: go test leaves its test programs alone.
func runCommand(signals <-chan os.Signal, args, environ []string) (int, error) {
	cmd := exec.Command(args[0], args[1:]...) //nolint:noctx // It ends by itself or by a signal.
	cmd.Env = append(os.Environ(), environ...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return exitFailed, fmt.Errorf("start %s: %w", args[0], err)
	}
	group := -cmd.Process.Pid
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	for {
		select {
		case sig := <-signals:
			if sig, ok := sig.(syscall.Signal); ok {
				_ = syscall.Kill(group, sig) // It may have ended just now.
			}
		case err := <-done:
			endGroup(group)
			return exitStatus(err)
		}
	}
}

// endGroup ends what the command left behind, which would keep using servers
// that are gone.
func endGroup(group int) {
	if syscall.Kill(group, syscall.SIGTERM) != nil {
		return // Nobody is left.
	}
	for range 50 {
		time.Sleep(20 * time.Millisecond)
		if syscall.Kill(group, 0) != nil {
			return
		}
	}
	_ = syscall.Kill(group, syscall.SIGKILL)
}

// exitStatus is the command's own, or 128 and the signal that ended it, as in a
// shell.
func exitStatus(err error) (int, error) {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0, nil
	case !errors.As(err, &exit):
		return exitFailed, fmt.Errorf("wait for the command: %w", err)
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal()), nil
	}
	return exit.ExitCode(), nil
}
