package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/outbox-relay/outbox-relay/internal/app"
	"github.com/outbox-relay/outbox-relay/internal/config"
)

func newDead() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dead list|show|requeue|discard",
		Short: "Look at dead letters, send them again or drop them",
		Long: `A row that can never be published as it is goes to the dead letters, payload intact, with the reason. Where the topic's on_dead is
block, the later rows of its ordering key wait for it.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return fmt.Errorf("dead needs one of list, show, requeue and discard")
		},
	}
	cmd.AddCommand(
		newDeadList(), newDeadShow(),
		newDeadChange("requeue", "Send them again: back to the outbox", false,
			`Move the chosen letters back to the outbox, where their attempts start anew. Each keeps its id, and with it its deduplication
key and its place in its ordering key: it is sent first, and then what waited behind it. It is refused for a letter whose key has
an earlier one that is not chosen. What was the matter must have been mended, in the settings or at the broker, or they die again.`),
		newDeadChange("discard", "Drop them for good", true,
			`Delete the chosen letters for good. What waited behind them in their ordering keys goes on: it is as if the rows had never been
written. Keep what may be needed: dead show --payload.`),
	)
	return cmd
}

func newDeadList() *cobra.Command {
	var l app.DeadListing
	cmd := newOperation("list", "Count the letters by reason and topic, or list them", "",
		func(ctx context.Context, cfg *config.Config, w io.Writer) error { return app.ListDead(ctx, cfg, l, w) })
	addDeadSelection(cmd.Flags(), &l.DeadSelection)
	cmd.Flags().BoolVar(&l.Rows, "letters", false, "List each letter instead of counting them")
	cmd.Flags().IntVar(&l.Limit, "limit", 100, "How many letters are listed at most")
	cmd.Flags().BoolVar(&l.JSON, "json", false, "Write JSON, for programs")
	return cmd
}

func newDeadShow() *cobra.Command {
	var id int64
	var payload string
	var asJSON bool
	cmd := newOperation("show", "Show one letter with everything there is",
		`Show one letter. A payload that is short text is shown as it is, the beginning of any other as a hex dump.`,
		func(ctx context.Context, cfg *config.Config, w io.Writer) error {
			return app.ShowDead(ctx, cfg, id, payload, asJSON, w)
		})
	cmd.Flags().Int64Var(&id, "id", 0, usageID)
	cmd.Flags().StringVar(&payload, "payload", "", "Also write the payload into this file, byte for byte")
	cmd.Flags().BoolVar(&asJSON, "json", false, "Write JSON, for programs")
	return cmd
}

func newDeadChange(name, short string, discard bool, long string) *cobra.Command {
	c := app.DeadChange{Discard: discard}
	cmd := newOperation(name, short, long+`

Relays may run; they notice within lease.renew. Large sets go in steps, lowest ids first, each of them a transaction: if it
is cut short, run it again. Run it as the owner of the tables, as migrate up.`,
		func(ctx context.Context, cfg *config.Config, w io.Writer) error {
			return app.ChangeDead(ctx, cfg, c, w)
		})
	addDeadSelection(cmd.Flags(), &c.DeadSelection)
	cmd.Flags().BoolVar(&c.All, "all", false, usageAll)
	cmd.Flags().BoolVar(&c.DryRun, "dry-run", false, "Only say what would be done")
	cmd.Flags().BoolVar(&c.JSON, "json", false, "Write JSON, for programs")
	return cmd
}

// Flags that several commands have mean the same in each.
const (
	usageID    = "Only the row with this id; once for each"
	usageAll   = "All of them, without a choice"
	usageOlder = "Only those that are at least so old, such as 1h"
)

func addDeadSelection(fs *pflag.FlagSet, d *app.DeadSelection) {
	fs.Int64SliceVar(&d.IDs, "id", nil, usageID)
	fs.StringVar(&d.Topic, "topic", "", "Only this topic")
	fs.StringVar(&d.Key, "key", "", "Only this ordering key")
	fs.StringSliceVar(&d.Reasons, "reason", nil, "Only letters of this reason; once for each")
	fs.DurationVar(&d.OlderThan, "older-than", 0, usageOlder)
	fs.DurationVar(&d.NewerThan, "newer-than", 0, "Only those that are less old, such as 1h")
}
