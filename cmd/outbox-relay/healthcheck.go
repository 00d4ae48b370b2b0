package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/outbox-relay/outbox-relay/internal/config"
)

// healthcheckTimeout is below the three seconds that container health checks usually allow.
const healthcheckTimeout = 2 * time.Second

func newHealthcheck() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "healthcheck",
		Short: "Ask the relay that runs here whether it is ready; exit code 1 if not",
		Long: `Ask /readyz of the relay that runs on this machine, or in this container, and exit with 1 unless it is ready. For
container health checks: the image holds no other program.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := settings(cmd, config.NeedNothing)
			if err != nil {
				return err
			}
			if err := askReady(cmd.Context(), cfg.HTTP.Listen); err != nil {
				return failure{error: err}
			}
			return nil
		},
	}
	withSettings(cmd.Flags(), "http.listen")
	return cmd
}

// askReady asks the relay that listens at an address such as ":9090".
func askReady(ctx context.Context, listen string) error {
	if listen == "" {
		return errors.New("http.listen is off: there is nothing to ask")
	}
	host, port, err := net.SplitHostPort(listen)
	if err != nil || port == "0" {
		return fmt.Errorf("http.listen is %s: that is no address to ask", listen)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	ctx, cancel := context.WithTimeout(ctx, healthcheckTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/readyz", nil)
	if err != nil {
		return fmt.Errorf("ask the relay: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("ask the relay: %w", err)
	}
	defer response.Body.Close() //nolint:errcheck // Only read.
	if response.StatusCode == http.StatusOK {
		return nil
	}
	why, err := io.ReadAll(io.LimitReader(response.Body, 4096))
	if err != nil {
		return fmt.Errorf("ask the relay: %w", err)
	}
	return errors.New(strings.TrimSpace("not ready: " + string(why)))
}
