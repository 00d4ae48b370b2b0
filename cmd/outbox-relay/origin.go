package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/outbox-relay/outbox-relay/internal/app"
	"github.com/outbox-relay/outbox-relay/internal/config"
)

func newOrigin() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "origin show|adopt|new",
		Short: "Say what a moved or copied database is",
		Long: `Every outbox knows the database that it was made in. A relay refuses one that is found elsewhere, because it cannot tell
whether the original still publishes. Here an operator says so. All relays must be stopped.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return fmt.Errorf("origin needs one of show, adopt and new")
		},
	}
	cmd.AddCommand(
		newOperation("show", "Show the origin, where it was made and where it is", "", app.ShowOrigin),
		newOperation("adopt", "It was moved here, and the original is gone: the same outbox",
			`Record that the outbox was moved here, by a dump and restore, pg_upgrade or replication, and stays the same outbox: the
origin stays, and the next relay publishes what is pending and finds out what became of messages under way. The original
must be gone for good: if it publishes too, every row is published twice under one origin. Rows that the original settled
after the dump was taken come again. Run it as the owner of the tables, as migrate up.`, app.AdoptOrigin),
		newOriginNew(),
	)
	return cmd
}

func newOriginNew() *cobra.Command {
	var c app.Copy
	cmd := newOperation("new", "It is a copy: give it an origin of its own",
		`Make a copy an outbox of its own: it gets a new origin, and what the original has under way is left to the original. Pending
rows were copied too, and the original publishes them: say whether they are to be deleted here or published from here as
well. Dead letters and the history stay. It also works on a copy of the disk, which nothing tells from its original. Run it
as the owner of the tables, as migrate up.`,
		func(ctx context.Context, cfg *config.Config, w io.Writer) error { return app.NewOrigin(ctx, cfg, c, w) })
	cmd.Flags().BoolVar(&c.DiscardPending, "discard-pending", false, "Delete the rows that were copied: the original publishes them")
	cmd.Flags().BoolVar(&c.PublishPending, "publish-pending", false, "Publish the rows that were copied from here as well")
	cmd.Flags().BoolVar(&c.DryRun, "dry-run", false, "Only say what would be done")
	return cmd
}

// newOperation is a command that needs the database, and may use other settings.
func newOperation(
	name, short, long string, operate func(context.Context, *config.Config, io.Writer) error, uses ...string,
) *cobra.Command {
	cmd := &cobra.Command{
		Use:   name,
		Short: short,
		Long:  long,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := settings(cmd, config.NeedDatabase)
			if err != nil {
				return err
			}
			return written(operate(cmd.Context(), cfg, cmd.OutOrStdout()))
		},
	}
	withSettings(cmd.Flags(), append(uses, "database.")...)
	return cmd
}
