// Command outbox-relay publishes the rows of a transactional outbox in PostgreSQL to RocketMQ. README.md says how to use
// it, docs/configuration.md lists its settings.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/outbox-relay/outbox-relay/internal/config"
)

// Exit codes. A second SIGINT or SIGTERM ends the process at once with 128 and the number of the signal.
const (
	exitOK      = 0
	exitFailure = 1 // what was asked for could not be done
	exitUsage   = 2 // the command line or the settings are wrong
)

// oneStop is within which several signals mean one stop: who signals a process and then its group, as timeout(1) does, sends
// two.
const oneStop = 100 * time.Millisecond

func main() {
	ctx, stop := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		first := time.Now()
		for s := range signals {
			number, _ := s.(syscall.Signal)
			switch {
			case ctx.Err() == nil:
				first = time.Now()
				stop()
			case time.Since(first) > oneStop:
				os.Exit(128 + int(number))
			}
		}
	}()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run runs one command and returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	var failed failure
	var mistakes config.Mistakes
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &mistakes):
		_, _ = fmt.Fprintln(stderr, err)
		return exitUsage
	case errors.As(err, &failed):
		if !failed.logged {
			_, _ = fmt.Fprintln(stderr, "outbox-relay:", err)
		}
		return exitFailure
	default: // cobra's own: the command line is wrong
		_, _ = fmt.Fprintln(stderr, "outbox-relay:", err)
		return exitUsage
	}
}

// failure is the error of a command whose command line and settings were right.
type failure struct {
	error
	logged bool // said already
}

func (f failure) Unwrap() error { return f.error }

// written is the failure to write a command's output; nil where err is.
func written(err error) error {
	if err == nil {
		return nil
	}
	return failure{error: err}
}
