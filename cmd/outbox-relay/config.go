package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/outbox-relay/outbox-relay/internal/config"
)

func newConfig() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config check",
		Short: "Check the settings",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return fmt.Errorf("config needs the word check") },
	}
	check := &cobra.Command{
		Use:   "check",
		Short: "Print every mistake, or every setting and where it comes from",
		Long: `Print every mistake in the settings at once, each with its source, key, value and rule, and end with exit code 2; or,
if there is none, every setting with its value and where it comes from. Nothing is connected to.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := settings(cmd, config.NeedAll)
			if err != nil {
				return err
			}
			t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			for _, o := range cfg.Origins() {
				_, _ = fmt.Fprintf(t, "%s\t%s\t%s\n", o.Key, o.Value, o.Source) // Flush tells of errors.
			}
			if err := t.Flush(); err != nil {
				return written(err)
			}
			for _, warning := range cfg.Warnings() {
				_, _ = fmt.Fprintln(cmd.ErrOrStderr(), "warning:", warning)
			}
			return nil
		},
	}
	withSettings(check.Flags())
	cmd.AddCommand(check)
	return cmd
}
