// Command model explores the protocol and prints what came of it: first the configurations with every rule in force, then each
// rule removed. With RULE=name in the environment it removes that rule only, and tells the counter-example step by step; with
// LARGEST=1 it explores one configuration more, which takes longest.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/outbox-relay/outbox-relay/internal/model"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Stdout, os.Getenv("RULE"), os.Getenv("LARGEST") != "")
	stop()
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "model:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, rule string, largest bool) error {
	if rule != "" {
		return tell(ctx, out, rule)
	}
	configs := append(model.Small(), model.Large()...)
	if largest {
		configs = append(configs, model.Largest())
	}
	return errors.Join(whole(ctx, out, configs), removals(ctx, out))
}

// tell removes one rule and prints the counter-example.
func tell(ctx context.Context, out io.Writer, name string) error {
	var names []string
	for _, info := range model.Rules() {
		names = append(names, info.Name)
		if info.Name != name && info.Number != name {
			continue
		}
		c, r, err := model.Remove(ctx, info.Rule, model.Small())
		if err != nil {
			return err
		}
		text := fmt.Sprintf("Without rule %s (%s): %s\n%s: %d states, %s\n\n", info.Number, info.Means, r.Verdict(), c.Name, r.States, duration(r))
		for i, step := range r.Trace {
			text += fmt.Sprintf("%3d  %s\n", i+1, step)
		}
		if info.Note != "" {
			text += info.Note + "\n"
		}
		_, err = io.WriteString(out, text)
		return err
	}
	return fmt.Errorf("RULE: there is no rule %q; the rules are %s", name, strings.Join(names, ", "))
}
