package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/outbox-relay/outbox-relay/internal/app"
	"github.com/outbox-relay/outbox-relay/internal/bench"
	"github.com/outbox-relay/outbox-relay/internal/config"
	"github.com/outbox-relay/outbox-relay/internal/telemetry"
)

// benchmark is the command line of bench.
type benchmark struct {
	cases, json, plot string
	cfg               bench.Config
}

func newBench() *cobra.Command {
	var b benchmark
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure this relay on your servers, in schemas and topics of its own",
		Long: `Measure this relay, and a pump that does nothing but send, on your own PostgreSQL and brokers: docs/performance.md. It says what
it makes there before it does, and removes it, also when it is interrupted. The database role must be allowed to create schemas, and the
user of credentials.access_key, if there is one, to make and delete topics.
The table goes to standard output. Processor time of servers is not known here.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := settings(cmd, config.NeedDatabase)
			if err != nil {
				return err
			}
			if len(cfg.NameServers) == 0 {
				return errors.New("bench needs nameservers")
			}
			if cfg.Namespace != "" {
				return fmt.Errorf("bench makes topics outside of every namespace: run it without namespace, which is %q", cfg.Namespace)
			}
			if b.cfg.Cases, err = bench.Select(bench.Cases(), b.cases); err != nil {
				return err
			}
			if b.cfg.Repeat < 1 || b.cfg.Scale.Rows < 1 {
				return fmt.Errorf("--repeat and --rows must be at least 1, but they are %d and %d", b.cfg.Repeat, b.cfg.Scale.Rows)
			}
			return written(b.run(cmd, cfg))
		},
	}
	cmd.Flags().StringVar(&b.cases, "cases", "", "Only the cases with these words in their names; several choices separated by commas")
	cmd.Flags().IntVar(&b.cfg.Repeat, "repeat", 3, "Rounds")
	cmd.Flags().IntVar(&b.cfg.Scale.Rows, "rows", 200_000, "Of a full drain; the other cases have more or fewer in proportion")
	cmd.Flags().DurationVar(&b.cfg.Budget, "budget", 19*time.Minute, "Run no case again that would not be done after this time; 0 for no limit")
	cmd.Flags().StringVar(&b.json, "report", "", "A file for the report as JSON")
	cmd.Flags().StringVar(&b.plot, "plot", "", "A file for a picture, SVG")
	withSettings(cmd.Flags(), "database.url", "nameservers")
	return cmd
}

// run finds the brokers, says what will be done, and does it.
func (b *benchmark) run(cmd *cobra.Command, cfg *config.Config) (err error) {
	ctx := cmd.Context()
	b.cfg.Log = telemetry.NewLogger(cmd.ErrOrStderr(), cfg.Log.Level, "text")
	if b.cfg.Relay, err = os.Executable(); err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	if b.cfg.Dir, err = os.MkdirTemp("", "outbox-relay-bench-"); err != nil {
		return fmt.Errorf("make a folder for logs: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.cfg.Dir)) }()
	file, err := cmd.Flags().GetString("config")
	if err != nil {
		return err
	}
	b.cfg.Environ = relayEnviron(os.Environ(), file)
	access := app.Access(cfg)
	b.cfg.Servers = bench.Servers{Postgres: cfg.Database.URL.Reveal(), NameServer: access.NameServers, Access: access}
	if b.cfg.Servers.Brokers, err = bench.Discover(ctx, access); err != nil {
		return err
	}
	if err := b.cfg.Announce(cmd.OutOrStdout(), cfg.Database.URL.String()); err != nil {
		return err
	}
	report, err := bench.Run(ctx, b.cfg)
	if report == nil {
		return err
	}
	err = errors.Join(err, report.Print(cmd.OutOrStdout()))
	if b.json != "" {
		err = errors.Join(err, report.Save(b.json))
	}
	if b.plot != "" {
		err = errors.Join(err, report.Plot(b.plot))
	}
	return err
}

// relayEnviron gives the relays that are measured the settings of this one; what the benchmark sets itself comes on top.
func relayEnviron(environ []string, file string) []string {
	var kept []string
	for _, variable := range environ {
		if !strings.HasPrefix(variable, "OUTBOX_RELAY_DATABASE_") {
			kept = append(kept, variable)
		}
	}
	if file != "" {
		kept = append(kept, "OUTBOX_RELAY_CONFIG="+file)
	}
	return kept
}
