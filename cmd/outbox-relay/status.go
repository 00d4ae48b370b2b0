package main

import (
	"github.com/spf13/cobra"

	"github.com/outbox-relay/outbox-relay/internal/app"
	"github.com/outbox-relay/outbox-relay/internal/config"
)

func newStatus() *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the backlog, dead letters, open messages and relays",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := settings(cmd, config.NeedDatabase)
			if err != nil {
				return err
			}
			status, err := app.ReadStatus(cmd.Context(), cfg)
			if err != nil {
				return failure{error: err}
			}
			if asJSON {
				return written(status.WriteJSON(cmd.OutOrStdout()))
			}
			return written(status.WriteTable(cmd.OutOrStdout()))
		},
	}
	withSettings(cmd.Flags(), "database.")
	cmd.Flags().BoolVar(&asJSON, "json", false, "Write JSON, for programs")
	return cmd
}
