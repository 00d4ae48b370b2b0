package main

import (
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/outbox-relay/outbox-relay/internal/config"
)

const about = `outbox-relay publishes the rows of a transactional outbox in PostgreSQL to RocketMQ:
what a transaction commits reaches its topic exactly once, what it rolls back never does.

Every setting can be given in a YAML file (--config), as OUTBOX_RELAY_... variable or
as a flag. Start with:

  outbox-relay migrate up      create the tables
  outbox-relay config check    look at the settings
  outbox-relay run             publish

Exit codes: 0 done, 1 failed, 2 the command line or the settings are wrong. SIGINT and
SIGTERM stop in good order; a second one ends at once, with 128 and the signal's number.`

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "outbox-relay",
		Short:         "Publish a transactional outbox to RocketMQ",
		Long:          about,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return config.FlagMistake(cmd.Flags(), err) })
	root.AddCommand(newRun(), newMigrate(), newStatus(), newDead(), newResolve(), newQueues(), newOrigin(), newConfig(), newGrants(), newHealthcheck(), newVersion(), newBench())
	return root
}

// withSettings adds --config and the flags of the settings whose keys start with one of prefixes, of all where there is
// none.
func withSettings(fs *pflag.FlagSet, prefixes ...string) {
	fs.SortFlags = false
	fs.StringP("config", "c", "", "The YAML file; also OUTBOX_RELAY_CONFIG")
	config.AddFlags(fs, prefixes...)
}

// settings reads the settings of a command.
func settings(cmd *cobra.Command, need config.Need) (*config.Config, error) {
	file, err := cmd.Flags().GetString("config")
	if err != nil {
		return nil, err
	}
	return config.Load(config.Input{File: file, Environ: os.Environ(), Flags: cmd.Flags()}, need)
}
