package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/outbox-relay/outbox-relay/internal/config"
	"github.com/outbox-relay/outbox-relay/migrations"
)

func newGrants() *cobra.Command {
	var appRole, relayRole string
	cmd := &cobra.Command{
		Use:   "grants",
		Short: "Print the SQL that gives the two roles what they need, and no more",
		Long: `Print the SQL that gives the application's role and the relay's role what they need, and no more. Run it as the owner
of the tables, after every migrate up. Nothing is connected to.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := settings(cmd, config.NeedNothing)
			if err != nil {
				return err
			}
			forApp, forRelay, err := migrations.Grants(cfg.Database.Schema, appRole, relayRole)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\n%s", forApp, forRelay)
			return written(err)
		},
	}
	withSettings(cmd.Flags(), "database.schema")
	cmd.Flags().StringVar(&appRole, "app-role", "app", "The role that inserts rows")
	cmd.Flags().StringVar(&relayRole, "relay-role", "outbox_relay", "The role that the relay connects as")
	return cmd
}
