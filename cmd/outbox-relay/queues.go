package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/outbox-relay/outbox-relay/internal/app"
	"github.com/outbox-relay/outbox-relay/internal/config"
)

func newQueues() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "queues show|set|refresh",
		Short: "Look at or change the queues that ordering keys go to",
		Long: `Rows of one ordering key go to one queue, chosen from a list that the first relay wrote when it bound the topic. A broker or
queue that is new takes no ordered rows, and the keys of one that is away wait, until the list is changed here.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return fmt.Errorf("queues needs one of show, set and refresh")
		},
	}
	cmd.AddCommand(newQueuesShow(), newQueuesSet(), newQueuesRefresh())
	return cmd
}

func newQueuesShow() *cobra.Command {
	var topic string
	cmd := newOperation("show", "Show the list, what is missing and what is new", "",
		func(ctx context.Context, cfg *config.Config, w io.Writer) error {
			return app.ShowQueues(ctx, cfg, topic, w)
		}, "nameservers")
	cmd.Flags().StringVar(&topic, "topic", "", "Only this topic")
	return cmd
}

const aboutChange = `

It refuses while a message whose key would move is under way or in doubt and, without --pending, while such a key has rows in
the outbox. Relays may run: their sessions end and begin anew with the new list. A key that moves has its older messages on
the old queue: let consumers read those first. Run it as the owner of the tables, as migrate up.`

func newQueuesSet() *cobra.Command {
	var c app.QueueChange
	cmd := newChange("set", "Write the list", &c,
		`Write the list of a topic's queues. Every queue must be on a registered broker, or in the list already. A queue may be named more
than once: with one that stays in the place of one that is gone, only the keys of the latter move.`)
	cmd.Flags().StringArrayVar(&c.Queues, "queue", nil, "A queue of the new list, as broker:number; in order, once for each")
	return cmd
}

func newQueuesRefresh() *cobra.Command {
	var c app.QueueChange
	cmd := newChange("refresh", "Take in what the brokers have now", &c, `Add to the list every queue that the brokers have now.`)
	cmd.Flags().BoolVar(&c.DropMissing, "drop-missing", false, "Take out the queues that no broker has now: they do not come back")
	return cmd
}

func newChange(name, short string, c *app.QueueChange, long string) *cobra.Command {
	cmd := newOperation(name, short, long+aboutChange, func(ctx context.Context, cfg *config.Config, w io.Writer) error {
		if name == "set" && len(c.Queues) == 0 {
			return fmt.Errorf("name the queues: --queue, once for each")
		}
		return app.ChangeQueues(ctx, cfg, *c, w)
	}, "nameservers")
	cmd.Flags().StringVar(&c.Topic, "topic", "", "Only this topic")
	cmd.Flags().BoolVar(&c.Pending, "pending", false, "Also while keys that move have rows: they go to their new queues")
	cmd.Flags().DurationVar(&c.Wait, "wait", 0, "How long to wait until nothing hinders it")
	cmd.Flags().BoolVar(&c.DryRun, "dry-run", false, "Only say what would be done")
	return cmd
}
