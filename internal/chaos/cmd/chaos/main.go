// Command chaos breaks everything that the relay depends on, while it works, and counts what arrives. See docs/chaos.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/outbox-relay/outbox-relay/internal/chaos"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// Exit codes.
const (
	exitOK       = 0
	exitViolated = 1 // something was lost, duplicated, reordered, delivered after a rollback, or stuck
	exitUsage    = 2
	exitFailed   = 3 // the harness itself
)

type options struct {
	cfg   chaos.Config
	json  string
	long  bool
	state string
	list  bool
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	if err != nil {
		return complain(stderr, err, exitUsage)
	}
	if o.list {
		if _, err := fmt.Fprintln(stdout, strings.Join(chaos.Names(o.cfg.Kinds), "\n")); err != nil {
			return complain(stderr, err, exitFailed)
		}
		return exitOK
	}
	o.cfg.Log = slog.New(slog.NewTextHandler(stderr, nil))
	report, err := o.run(ctx)
	if report == nil {
		return complain(stderr, err, exitFailed)
	}
	err = errors.Join(err, report.Print(stdout))
	if o.json != "" {
		err = errors.Join(err, report.Save(o.json))
	}
	switch {
	case err != nil:
		return complain(stderr, err, exitFailed)
	case !report.OK():
		return exitViolated
	}
	return exitOK
}

func complain(stderr io.Writer, err error, code int) int {
	_, _ = fmt.Fprintln(stderr, "chaos:", err) // the code says it too
	return code
}

func (o options) run(ctx context.Context) (*chaos.Report, error) {
	if o.long {
		return chaos.RunLong(ctx, o.cfg, o.state)
	}
	return chaos.Run(ctx, o.cfg)
}

func parse(args []string, stderr io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("chaos", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Uint64Var(&o.cfg.Seed, "seed", 0, "of the plan: which faults, in which order, for how long (0: one of the clock's)")
	flags.DurationVar(&o.cfg.Duration, "duration", 10*time.Minute, "of the faults, or of a leg of a long run")
	kinds := flags.String("kinds", "", "only the kinds with one of these words in their names, separated by commas")
	flags.StringVar(&o.cfg.Dir, "dir", "", "for logs and data (default: a temporary folder, removed if all was well)")
	flags.StringVar(&o.cfg.Binary, "relay", "", "another relay, built with -tags chaos (default: it is built from this source)")
	flags.StringVar(&o.json, "json", "", "a file for the report as JSON")
	flags.BoolVar(&o.long, "long", false, "go on until each kind was injected 20 times, or 3 times if it always takes long")
	flags.StringVar(&o.state, "state", "", "with -long: the file from which it goes on after it was stopped")
	flags.BoolVar(&o.list, "list", false, "list the kinds, and do nothing")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("chaos takes no arguments, but got %q", flags.Args())
	}
	if o.cfg.Duration <= 0 {
		return o, fmt.Errorf("-duration must be positive, but it is %s", o.cfg.Duration)
	}
	if o.long && o.state == "" {
		return o, errors.New("-long needs -state: the file from which it goes on after it was stopped")
	}
	if o.cfg.Seed == 0 {
		o.cfg.Seed = uint64(time.Now().UnixNano()) % 1e9
	}
	o.cfg.Kinds, err = chaos.Select(chaos.Kinds(), *kinds)
	return o, err
}
