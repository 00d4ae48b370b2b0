// Package local starts the servers of a benchmark on this machine, as processes: PostgreSQL, a name server, and brokers that
// flush at once and later.
package local

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"github.com/outbox-relay/outbox-relay/internal/bench"
	"github.com/outbox-relay/outbox-relay/internal/stack"
)

// Options are the caller's choices.
type Options struct {
	Dir string
	// Async and Sync are how many brokers there are of each kind.
	Async, Sync int
	// Logical lets PostgreSQL write what logical decoding needs, for Debezium.
	Logical bool
	Log     *slog.Logger
}

// Servers are what was started.
type Servers struct {
	bench.Servers
	closers []func() error
}

// Start starts them; if one fails, none is left running.
func Start(ctx context.Context, o Options) (s *Servers, err error) {
	s = &Servers{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
			s = nil
		}
	}()
	base := stack.Options{Engine: stack.EngineNative, Dir: o.Dir, Logger: o.Log}
	base.PostgresConfig = postgresConfig(o.Logical)
	database, err := stack.StartPostgres(ctx, base)
	if err != nil {
		return s, err
	}
	s.closers = append(s.closers, database.Close)
	s.Postgres, s.PostgresPID = database.URL("postgres"), database.PID()
	names, err := stack.StartNameServer(ctx, base)
	if err != nil {
		return s, err
	}
	s.closers = append(s.closers, names.Close)
	s.NameServer = names.Addr
	s.Settings = map[string]string{
		"PostgreSQL": fmt.Sprint(base.PostgresConfig), "brokers": fmt.Sprint(brokerConfig(), brokerJVM()),
	}
	return s, s.startBrokers(ctx, names, base, o)
}

func (s *Servers) startBrokers(ctx context.Context, names *stack.NameServer, base stack.Options, o Options) error {
	brokers := make([]*stack.Broker, o.Async+o.Sync)
	group, groupCtx := errgroup.WithContext(ctx)
	for i := range brokers {
		opts := base
		opts.BrokerName = flush(i, o) + "-" + string(rune('a'+i))
		opts.BrokerConfig = brokerConfig()
		opts.BrokerConfig["flushDiskType"] = map[string]string{"async": "ASYNC_FLUSH", "sync": "SYNC_FLUSH"}[flush(i, o)]
		opts.JVM = brokerJVM()
		group.Go(func() (err error) {
			brokers[i], err = stack.StartBroker(groupCtx, names, opts)
			return err
		})
	}
	err := group.Wait()
	for i, b := range brokers {
		if b != nil {
			s.closers = append(s.closers, b.Close)
			s.Brokers = append(s.Brokers, bench.Broker{
				Name: b.Name, Address: b.Addr, Flush: bench.Flush(flush(i, o)), PID: b.PID(), Pause: b.Pause, Resume: b.Resume,
			})
		}
	}
	return err
}

func flush(i int, o Options) string {
	if i < o.Async {
		return string(bench.Async)
	}
	return string(bench.Sync)
}

// postgresConfig is what anyone would set on a machine of this kind. It syncs to the disk.
func postgresConfig(logical bool) map[string]string {
	config := map[string]string{"shared_buffers": "1GB", "max_wal_size": "8GB", "max_connections": "100"}
	if logical {
		config["wal_level"] = "logical"
	}
	return config
}

// brokerConfig leaves RocketMQ's own settings alone, but for what this project's tests make smaller, and that messages are
// deleted after an hour: a long run would fill the disk.
func brokerConfig() map[string]string {
	return map[string]string{
		"mappedFileSizeCommitLog": "1073741824", "mappedFileSizeConsumeQueue": "6000000",
		"maxHashSlotNum": "5000000", "maxIndexNum": "20000000",
		"fileReservedTime": "1", "deleteWhen": "00;01;02;03;04;05;06;07;08;09;10;11;12;13;14;15;16;17;18;19;20;21;22;23",
	}
}

func brokerJVM() []string {
	return []string{"-Xms256m", "-Xmx1g", "-XX:MaxDirectMemorySize=1g"}
}

// Peers finds the peers, and fetches Debezium Server if need be; it builds the loop into dir. What cannot be had is said in the
// result.
func Peers(ctx context.Context, dir string, log *slog.Logger) (bench.Peers, error) {
	p := bench.Peers{Loop: filepath.Join(dir, "loop")}
	cmd := exec.CommandContext(ctx, "go", "build", "-o", p.Loop, "github.com/outbox-relay/outbox-relay/internal/bench/cmd/loop")
	if output, err := cmd.CombinedOutput(); err != nil {
		return p, fmt.Errorf("build the loop: %w: %s", err, output)
	}
	java, debezium, err := stack.DebeziumServer(ctx, stack.Options{Logger: log})
	if err != nil {
		p.WhyNot = err.Error()
		return p, nil //nolint:nilerr // The table says it.
	}
	p.Java, p.Debezium = java, debezium
	return p, nil
}

// Close ends them and removes their data.
func (s *Servers) Close() error {
	var errs []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		errs = append(errs, s.closers[i]())
	}
	s.closers = nil
	return errors.Join(errs...)
}

// Dir makes a folder that PostgreSQL's own user can enter.
func Dir() (string, error) {
	dir, err := os.MkdirTemp("", "outbox-relay-bench-")
	if err != nil {
		return "", fmt.Errorf("make a folder: %w", err)
	}
	return dir, os.Chmod(dir, 0o755)
}
