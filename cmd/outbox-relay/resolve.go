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

func newResolve() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "resolve list|settle|strike",
		Short: "Decide about messages whose outcome only a lost broker knew",
		Long: `A message whose commit was not answered stays open until the relay has read its topic. Where that is not possible, because
the broker is gone for good or its messages have expired, only a person can say what became of it.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return fmt.Errorf("resolve needs one of list, settle and strike")
		},
	}
	cmd.AddCommand(
		newResolveList(),
		newResolution("settle", "It is on its topic: delete the row", true,
			`Say that the chosen messages are on their topics: their rows are deleted, and what waits behind them goes on. If one is not,
it is lost.`),
		newResolution("strike", "It is not on its topic: send the row again", false,
			`Say that the chosen messages are not on their topics: their rows are pending again, and are sent as new messages with the same
deduplication keys. If one is, it is there twice.`),
	)
	return cmd
}

func newResolveList() *cobra.Command {
	var s app.Selection
	var all, asJSON bool
	cmd := newSelecting("list", "List the messages that need a person",
		"List the messages that need a person; with --all also those that a relay will probably resolve by itself.", &s,
		func(ctx context.Context, cfg *config.Config, w io.Writer) error {
			return app.ListOpen(ctx, cfg, s, all, asJSON, w)
		})
	cmd.Flags().BoolVar(&all, "all", false, usageAll)
	cmd.Flags().BoolVar(&asJSON, "json", false, "Write JSON, for programs")
	return cmd
}

func newResolution(name, short string, onTopic bool, long string) *cobra.Command {
	r := app.Resolution{OnTopic: onTopic}
	cmd := newSelecting(name, short, long+`

Nothing is done before the window of every chosen message and append_margin are over. A broker that is registered at the name
servers is asked, and must refuse late commits (604). One that cannot be asked needs --broker-gone. A running relay notices
within a few seconds.`, &r.Selection,
		func(ctx context.Context, cfg *config.Config, w io.Writer) error { return app.Resolve(ctx, cfg, r, w) })
	cmd.Flags().BoolVar(&r.BrokerGone, "broker-gone", false, "The broker cannot be asked and does not come back")
	cmd.Flags().BoolVar(&r.DryRun, "dry-run", false, "Only say what would be done")
	return cmd
}

// newSelecting is a command on open messages.
func newSelecting(name, short, long string, s *app.Selection, operate func(context.Context, *config.Config, io.Writer) error) *cobra.Command {
	cmd := newOperation(name, short, long, operate, "nameservers", "group", "append_margin")
	addSelection(cmd.Flags(), s)
	return cmd
}

func addSelection(fs *pflag.FlagSet, s *app.Selection) {
	fs.StringVar(&s.Broker, "broker", "", "Only messages that went to this broker")
	fs.StringVar(&s.Topic, "topic", "", "Only this topic")
	fs.StringVar(&s.Key, "key", "", "Only this ordering key")
	fs.Int64Var(&s.Row, "row", 0, "Only this row of the outbox")
	fs.StringVar(&s.Attempt, "attempt", "", "Only this attempt, or the message with this UNIQ_KEY")
	fs.DurationVar(&s.OlderThan, "older-than", 0, usageOlder)
}
