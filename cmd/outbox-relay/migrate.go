package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/outbox-relay/outbox-relay/internal/app"
	"github.com/outbox-relay/outbox-relay/internal/config"
	"github.com/outbox-relay/outbox-relay/migrations"
)

func newMigrate() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "migrate up|down|status",
		Short: "Create, remove or look at the tables",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return fmt.Errorf("migrate needs one of up, down and status")
		},
	}
	discard := false
	down := newMigration("down", "Remove the tables and everything in them",
		func(ctx context.Context, cfg *config.Config) (migrations.State, error) {
			return app.MigrateDown(ctx, cfg, discard)
		})
	down.Flags().BoolVar(&discard, "discard", false, "Remove the tables even if they hold rows that were not published")
	cmd.AddCommand(
		newMigration("up", "Bring the tables to this program's version", app.MigrateUp),
		down,
		newMigration("status", "Say which version the tables have; exit code 1 if run would refuse it", app.MigrateStatus),
	)
	return cmd
}

func newMigration(name, short string, migrate func(context.Context, *config.Config) (migrations.State, error)) *cobra.Command {
	cmd := &cobra.Command{
		Use:   name,
		Short: short,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := settings(cmd, config.NeedDatabase)
			if err != nil {
				return err
			}
			state, err := migrate(cmd.Context(), cfg)
			if err != nil {
				return failure{error: err}
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "schema %s is at version %d of %d\n", state.Schema, state.Version, state.Latest)
			return written(err)
		},
	}
	withSettings(cmd.Flags(), "database.")
	return cmd
}
