package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"text/tabwriter"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/outbox-relay/outbox-relay/internal/model"
)

func duration(r model.Result) time.Duration { return r.Took.Round(10 * time.Millisecond) }

// whole explores every configuration with all rules in force. What it finds then is an error.
func whole(ctx context.Context, out io.Writer, configs []model.Config) error {
	results := make([]model.Result, len(configs))
	if err := each(ctx, len(configs), func(ctx context.Context, i int) (err error) {
		results[i], err = model.Explore(ctx, configs[i])
		return err
	}); err != nil {
		return err
	}
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "configuration\tstates\ttransitions\ttime\tverdict") // Flush tells of errors
	var wrong error
	for i, r := range results {
		_, _ = fmt.Fprintf(t, "%s\t%d\t%d\t%s\t%s\n", configs[i].Name, r.States, r.Transitions, duration(r), r.Verdict())
		if r.Broken != 0 {
			wrong = errors.Join(wrong, fmt.Errorf("%s: %s", configs[i].Name, r.Verdict()))
		}
	}
	return errors.Join(wrong, t.Flush())
}

// removals removes one rule at a time. A rule that nobody misses, or that is missed in another way than is known, is an error.
func removals(ctx context.Context, out io.Writer) error {
	rules := model.Rules()
	configs, results, after := make([]model.Config, len(rules)), make([]model.Result, len(rules)), make([]model.Result, len(rules))
	if err := each(ctx, len(rules), func(ctx context.Context, i int) (err error) {
		if configs[i], results[i], err = model.Remove(ctx, rules[i].Rule, model.Small()); err != nil || results[i].Broken != model.BrokenPromise {
			return err
		}
		c := configs[i].Without(rules[i].Rule)
		c.Ignore = model.BrokenPromise
		after[i], err = model.Explore(ctx, c)
		return err
	}); err != nil {
		return err
	}
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "\nrule\tremoved\tin\tcounter-example")
	var wrong error
	for i, rule := range rules {
		r := results[i]
		verdict := r.Verdict()
		if after[i].Broken != 0 {
			verdict += "; let pass, " + after[i].Verdict()
		}
		_, _ = fmt.Fprintf(t, "%s\t%s: %s\t%s\t%s\n", rule.Number, rule.Name, rule.Means, configs[i].Name, verdict)
		if r.Broken != rule.Breaks {
			wrong = errors.Join(wrong, fmt.Errorf("without rule %s (%s): %s", rule.Number, rule.Name, verdict))
		}
	}
	return errors.Join(wrong, t.Flush())
}

// each runs f for 0 … n-1, a few at once.
func each(ctx context.Context, n int, f func(ctx context.Context, i int) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(min(runtime.GOMAXPROCS(0), 4)) // a large exploration takes some GB
	for i := range n {
		g.Go(func() error { return f(ctx, i) })
	}
	return g.Wait()
}
