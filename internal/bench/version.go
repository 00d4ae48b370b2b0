package bench

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"os/exec"
	"strings"

	"github.com/jackc/pgx/v5"
)

// versions asks the servers and the relay. What cannot be asked is left out.
func (w *Bench) versions(ctx context.Context) map[string]string {
	versions := map[string]string{}
	if output, err := exec.CommandContext(ctx, w.cfg.Relay, "version").Output(); err == nil {
		first, _, _ := strings.Cut(strings.TrimSpace(string(output)), "\n")
		versions["relay"] = strings.TrimPrefix(first, "outbox-relay ")
	}
	if conn, err := pgx.Connect(ctx, w.cfg.Servers.Postgres); err == nil {
		var version string
		if conn.QueryRow(ctx, "SHOW server_version").Scan(&version) == nil {
			versions["PostgreSQL"] = version
		}
		_ = conn.Close(ctx) // it was only asked
	}
	for _, b := range w.cfg.Servers.Brokers {
		if config, err := w.brokerConfig(ctx, b.Address); err == nil && config["rocketmqHome"] != "" {
			versions["RocketMQ broker "+b.Name] = config["brokerVersion"]
		}
	}
	for name, version := range versions {
		if version == "" {
			delete(versions, name)
		}
	}
	return versions
}

// brokerConfig reads a broker's configuration.
func (w *Bench) brokerConfig(ctx context.Context, address string) (map[string]string, error) {
	cmd, err := w.call(ctx, address, reqBrokerConfig)
	if err != nil {
		return nil, err
	}
	config := map[string]string{}
	for line := range bytes.Lines(cmd.Body) {
		if name, value, ok := strings.Cut(strings.TrimSpace(string(line)), "="); ok {
			config[name] = value
		}
	}
	return config, nil
}

// processor and memory describe a Linux machine; elsewhere they are unknown.
func processor() string { return field("/proc/cpuinfo", "model name") }

func memory() string { return field("/proc/meminfo", "MemTotal") }

func field(path, name string) string {
	file, err := os.Open(path)
	if err != nil {
		return "unknown"
	}
	defer file.Close() //nolint:errcheck // Only read.
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if key, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}
