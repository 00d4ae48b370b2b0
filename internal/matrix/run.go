package matrix

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/outbox-relay/outbox-relay/internal/stack"
)

// Options of a run.
type Options struct {
	Root   string   // of the module
	Module string   // its path
	Plans  []Plan   // what to run
	State  string   // a file for what is done, so that a run that was stopped goes on; "" for none
	Flags  []string // for go test, for example -race
	Log    io.Writer
}

// Run runs the plans, one version after the other on servers of its own, and returns the results in their order.
func Run(ctx context.Context, o Options) ([]Result, error) {
	s, err := load(o.State, revision(ctx, o.Root))
	if err != nil {
		return nil, err
	}
	var results []Result
	for _, plan := range o.Plans {
		rs, err := o.version(ctx, plan, s)
		results = append(results, rs...)
		if err != nil {
			return results, fmt.Errorf("RocketMQ %s: %w", plan.Version, err)
		}
	}
	return results, nil
}

// revision names the source; two runs of changed files are never the same.
func revision(ctx context.Context, root string) string {
	git := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty", "--abbrev=40")
	git.Dir = root
	output, err := git.Output()
	name := strings.TrimSpace(string(output))
	if err != nil || strings.HasSuffix(name, "-dirty") {
		return name + time.Now().Format(time.RFC3339Nano)
	}
	return name
}

func (o Options) version(ctx context.Context, plan Plan, s *state) (results []Result, err error) {
	var servers *stack.Servers
	defer func() {
		if servers != nil {
			err = errors.Join(err, servers.Close())
		}
	}()
	for _, suite := range plan.Suites {
		if r, done := s.done(plan.Version, suite.Package); done {
			results = append(results, r)
			continue
		}
		if servers == nil {
			servers, err = stack.Start(ctx, stack.Options{
				RocketMQVersion: plan.Version, BrokerConfig: stack.FastTransactions(), Logger: slog.New(slog.NewTextHandler(o.Log, nil)),
			})
			if err != nil {
				return results, err
			}
		}
		r, err := o.suite(ctx, plan.Version, suite, servers.Addresses())
		if err != nil {
			return results, err
		}
		results = append(results, r)
		if err := s.add(o.State, r); err != nil {
			return results, err
		}
	}
	return results, nil
}

// suite runs one suite. Only a go test that could not be run is an error; what it found is in the result.
func (o Options) suite(ctx context.Context, version string, suite Suite, servers stack.Addresses) (Result, error) {
	_, _ = fmt.Fprintf(o.Log, "RocketMQ %s: %s\n", version, suite.Package)
	start := time.Now()
	args := append([]string{"test", "-count=1", "-json", "-timeout=40m"}, o.Flags...)
	if pattern := suite.pattern(); pattern != "" {
		args = append(args, "-run", pattern)
	}
	var output, complaints bytes.Buffer
	cmd := exec.CommandContext(ctx, "go", append(args, suite.Package)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = o.Root, &output, &complaints
	cmd.Env = append(append(os.Environ(), servers.Environ()...), stack.EnvRocketMQVersion+"="+version)
	// go test leaves its test programs alone when it is stopped: the whole group is.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 30 * time.Second
	err := cmd.Run()
	if ctx.Err() != nil {
		return Result{}, context.Cause(ctx)
	}
	r := Result{Version: version, Suite: suite.Package, Took: time.Since(start)}
	ran := named(output.Bytes())
	if err := r.read(&output, o.Module); err != nil {
		return r, err
	}
	for _, name := range suite.lacking(ran) {
		r.Failed[suite.Package+" "+name] = "there is no such test"
	}
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && len(r.Failed) == 0:
		r.Failed[suite.Package] = complaints.String()
	case err != nil && !errors.As(err, &exit):
		return r, fmt.Errorf("run go test: %w", err)
	}
	return r, nil
}

// named returns the names of the tests that were run.
func named(output []byte) map[string]bool {
	ran := map[string]bool{}
	for line := range bytes.Lines(output) {
		if e, ok := parse(line); ok && e.Action == "run" {
			ran[e.Test] = true
		}
	}
	return ran
}
