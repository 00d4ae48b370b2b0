package main

import (
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/outbox-relay/outbox-relay/internal/app"
	"github.com/outbox-relay/outbox-relay/internal/config"
	"github.com/outbox-relay/outbox-relay/internal/telemetry"
)

func newRun() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Publish rows until stopped",
		Long: `Publish rows until stopped. A database or broker that is away is waited for; a schema that is not installed and a topic
that does not exist end it. Logs go to standard error. SIGHUP has the settings read again: topics, batch, poll, retry and
log.level change while it runs, the log names what needs a restart.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := settings(cmd, config.NeedAll)
			if err != nil {
				return err
			}
			level := &slog.LevelVar{}
			level.Set(cfg.Log.Level)
			log := telemetry.NewLogger(cmd.ErrOrStderr(), level, cfg.Log.Format)
			hangups := make(chan os.Signal, 1)
			signal.Notify(hangups, syscall.SIGHUP)
			defer signal.Stop(hangups)
			process := app.Process{Version: readVersion().Name, Log: log, Reload: app.Reload{
				Signal: hangups, Level: level, Load: func() (*config.Config, error) { return settings(cmd, config.NeedAll) },
			}}
			if err := addFaults(&process, os.Getenv); err != nil {
				return failure{error: err}
			}
			defer tuneCollector(os.Getenv)()
			if err := app.Run(cmd.Context(), cfg, process); err != nil {
				log.ErrorContext(cmd.Context(), "stopped", slog.String("error", app.OneLine(err)))
				return failure{error: err, logged: true}
			}
			log.InfoContext(cmd.Context(), "stopped")
			return nil
		},
	}
	withSettings(cmd.Flags())
	return cmd
}
