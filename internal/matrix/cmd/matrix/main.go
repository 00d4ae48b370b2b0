// Command matrix runs the tests on every version of RocketMQ that is supported, and prints a table; see package matrix.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/outbox-relay/outbox-relay/internal/matrix"
)

const module = "github.com/outbox-relay/outbox-relay"

func main() {
	versions := flag.String("versions", "", "versions to run on, separated by commas; default all")
	state := flag.String("state", "", "a file for what is done: a run that was stopped goes on from there")
	flags := flag.String("flags", "-race", "flags for go test, separated by blanks")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *versions, *state, *flags, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "matrix:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, versions, state, flags string, w io.Writer) error {
	plans, err := matrix.Choose(matrix.Plans(), versions)
	if err != nil {
		return err
	}
	root, err := os.Getwd()
	if err != nil {
		return err
	}
	results, runErr := matrix.Run(ctx, matrix.Options{
		Root: root, Module: module, Plans: plans, State: state, Flags: strings.Fields(flags), Log: os.Stderr,
	})
	if err := matrix.Report(w, results); err != nil {
		return err
	}
	for _, r := range results {
		if !r.Good() {
			runErr = errors.Join(runErr, fmt.Errorf("%s on RocketMQ %s did not pass", r.Suite, r.Version))
		}
	}
	return runErr
}
