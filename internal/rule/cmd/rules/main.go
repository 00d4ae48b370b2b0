// Command rules removes the protocol's rules from the source, one at a time, and fails if no test notices; see package rule.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"time"

	"github.com/outbox-relay/outbox-relay/internal/rule"
)

func main() {
	only := flag.String("only", "", "a regular expression for the rules to remove; default all")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *only, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "rules:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, only string, w io.Writer) error {
	wanted, err := regexp.Compile(only)
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	root, err := os.Getwd()
	if err != nil {
		return err
	}
	removed, unnoticed := 0, 0
	for _, m := range rule.Mutants() {
		if !wanted.MatchString(m.Rule) {
			continue
		}
		o, err := rule.Run(ctx, root, m)
		if err != nil {
			return err
		}
		removed++
		if o.Noticed == "" {
			unnoticed++
			o.Noticed = "NOBODY"
		}
		_, _ = fmt.Fprintf(w, "%-4s %-88s noticed by %s, %s\n", m.Rule, m.What, o.Noticed, o.Took.Round(time.Second))
	}
	_, _ = fmt.Fprintf(w, "%d removals, %d not noticed\n", removed, unnoticed)
	if unnoticed > 0 {
		return fmt.Errorf("%d removals were not noticed by any test", unnoticed)
	}
	return nil
}
