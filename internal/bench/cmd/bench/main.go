// Command bench starts PostgreSQL and RocketMQ, and measures the relay beside what they can take. See docs/performance.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/outbox-relay/outbox-relay/internal/bench"
	"github.com/outbox-relay/outbox-relay/internal/bench/local"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1 // something went wrong, or an audit failed
	exitUsage  = 2
)

type options struct {
	cfg   bench.Config
	json  string
	plot  string
	relay string
	list  bool
	peers bool
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
		if _, err := fmt.Fprintln(stdout, strings.Join(bench.Names(o.cfg.Cases), "\n")); err != nil {
			return complain(stderr, err, exitFailed)
		}
		return exitOK
	}
	o.cfg.Log = slog.New(slog.NewTextHandler(stderr, nil))
	if err := o.run(ctx, stdout); err != nil {
		return complain(stderr, err, exitFailed)
	}
	return exitOK
}

func complain(stderr io.Writer, err error, code int) int {
	_, _ = fmt.Fprintln(stderr, "bench:", err) // the code says it too
	return code
}

func (o options) run(ctx context.Context, stdout io.Writer) (err error) {
	dir, err := local.Dir()
	if err != nil {
		return err
	}
	cfg := o.cfg
	defer func() {
		if err == nil {
			err = os.RemoveAll(dir)
			return
		}
		cfg.Log.ErrorContext(ctx, "logs are kept", slog.String("dir", dir))
	}()
	if cfg.Relay, err = o.buildRelay(ctx, dir); err != nil {
		return err
	}
	if cfg.Dir == "" {
		cfg.Dir = dir
	}
	if o.peers {
		if cfg.Peers, err = local.Peers(ctx, dir, cfg.Log); err != nil {
			return err
		}
	}
	async, sync := bench.Brokers(cfg.Cases)
	servers, err := local.Start(ctx, local.Options{Dir: dir, Async: async, Sync: sync, Logical: o.peers, Log: cfg.Log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, servers.Close()) }()
	cfg.Servers = servers.Servers
	report, err := bench.Run(ctx, cfg)
	if report == nil {
		return err
	}
	return errors.Join(err, o.publish(report, stdout))
}

// publish prints the table and writes the files.
func (o options) publish(report *bench.Report, stdout io.Writer) error {
	err := report.Print(stdout)
	if o.json != "" {
		err = errors.Join(err, report.Save(o.json))
	}
	if o.plot != "" {
		err = errors.Join(err, report.Plot(o.plot))
	}
	return err
}

func (o options) buildRelay(ctx context.Context, dir string) (string, error) {
	if o.relay != "" {
		return filepath.Abs(o.relay)
	}
	binary := filepath.Join(dir, "outbox-relay")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", binary, "github.com/outbox-relay/outbox-relay/cmd/outbox-relay")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the relay: %w: %s", err, output)
	}
	return binary, nil
}

// settings is a flag that may be given several times.
type settings []string

func (s *settings) String() string { return strings.Join(*s, " ") }

func (s *settings) Set(text string) error {
	if !strings.Contains(text, "=") {
		return fmt.Errorf("%q is not key=value", text)
	}
	*s = append(*s, text)
	return nil
}

func parse(args []string, stderr io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	cases := flags.String("cases", "", "only the cases with these words in their names; several choices separated by commas")
	flags.IntVar(&o.cfg.Repeat, "repeat", 3, "rounds")
	flags.IntVar(&o.cfg.Scale.Rows, "rows", 200_000, "of a full drain; the other cases have more or fewer in proportion")
	flags.Float64Var(&o.cfg.Scale.Time, "time", 1, "multiplies every measured stretch of time")
	flags.DurationVar(&o.cfg.Budget, "budget", 0, "run no case again that would not be done after this time (0: no limit)")
	flags.StringVar(&o.cfg.Dir, "dir", "", "for profiles (default: a temporary folder)")
	flags.BoolVar(&o.cfg.Profile, "profile", false, "write profiles of the relay's processor time and allocations, into -dir")
	flags.StringVar(&o.cfg.State, "state", "", "a file from which the run goes on after it was stopped")
	flags.StringVar(&o.relay, "relay", "", "another relay (default: it is built from this source)")
	flags.Var((*settings)(&o.cfg.RelaySettings), "set", "a setting of the relay, key=value; may be repeated")
	flags.StringVar(&o.json, "json", "", "a file for the report as JSON")
	flags.StringVar(&o.plot, "plot", "", "a file for the picture (SVG)")
	flags.BoolVar(&o.list, "list", false, "list the cases, and do nothing")
	flags.BoolVar(&o.peers, "peers", false, "also measure other relays; Debezium Server is fetched (780 MB)")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("bench takes no arguments, but got %q", flags.Args())
	case o.cfg.Repeat < 1:
		return o, fmt.Errorf("-repeat must be at least 1, but it is %d", o.cfg.Repeat)
	case o.cfg.Scale.Rows < 1:
		return o, fmt.Errorf("-rows must be at least 1, but it is %d", o.cfg.Scale.Rows)
	case o.cfg.Scale.Time <= 0:
		return o, fmt.Errorf("-time must be positive, but it is %g", o.cfg.Scale.Time)
	case o.cfg.Budget < 0:
		return o, fmt.Errorf("-budget must not be negative, but it is %s", o.cfg.Budget)
	case o.cfg.Profile && o.cfg.Dir == "":
		return o, errors.New("-profile needs -dir: a folder for the profiles")
	}
	all := bench.Cases()
	if o.peers {
		all = append(all, bench.PeerCases()...)
	}
	o.cfg.Cases, err = bench.Select(all, *cases)
	return o, err
}
