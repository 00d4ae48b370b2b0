package chaos

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/outbox-relay/outbox-relay/internal/chaos/proxy"
	"github.com/outbox-relay/outbox-relay/internal/stack"
	"github.com/outbox-relay/outbox-relay/migrations"
)

// proxyHost is what the broker advertises: it listens on 127.0.0.1, and the proxy on the same port of this address.
const proxyHost = "127.0.0.2"

const (
	topic  = "chaos"
	queues = 8

	// The roles of the application and of the relays: no superusers, owners of nothing.
	appRole   = "chaos_app"
	relayRole = "chaos_relay"
)

// World is one outbox and one topic on servers of its own, and the relays between them.
type World struct {
	log *slog.Logger
	dir string // for all that is written here

	servers    *stack.Servers
	postgres   *stack.Postgres
	nameServer *stack.NameServer
	broker     *stack.Broker
	store      string // the broker's folder
	fakeClock  bool   // whether the broker's clock can be set

	// What the relays connect through.
	brokerLine, nameServerLine, databaseLine *proxy.Proxy

	db     *pgxpool.Pool // the superuser's, beside every fault: the observer's
	fleet  *fleet
	ledger *ledger
	writer *Writer
	topic  topicReader
}

// brokerSettings make a doubt take seconds, and a half message that nobody finishes disappear after about nine: the first
// check comes after transactionTimeOut, then transactionCheckMax of them.
func brokerSettings() map[string]string {
	settings := stack.FastTransactions()
	settings["transactionCheckMax"] = "15"
	settings["flushDiskType"] = "SYNC_FLUSH"
	settings["registerNameServerPeriod"] = "10000" // the shortest there is: how soon a restarted name server knows the broker
	return settings
}

// relaySettings are scaled down like the broker's.
func relaySettings(databaseURL, nameServer string) []string {
	return []string{
		"OUTBOX_RELAY_DATABASE_URL=" + databaseURL,
		"OUTBOX_RELAY_NAMESERVERS=" + nameServer,
		"OUTBOX_RELAY_TOPICS=" + topic,
		"OUTBOX_RELAY_GROUP=" + topic,
		"OUTBOX_RELAY_WINDOW=3s",
		"OUTBOX_RELAY_SEND_TIMEOUT=1500ms",
		"OUTBOX_RELAY_COMMIT_TIMEOUT=1s",
		"OUTBOX_RELAY_APPEND_MARGIN=2s",
		"OUTBOX_RELAY_LEASE_DURATION=3s",
		"OUTBOX_RELAY_LEASE_RENEW=500ms",
		"OUTBOX_RELAY_RETRY_INITIAL=200ms",
		"OUTBOX_RELAY_RETRY_MAX=2s",
		"OUTBOX_RELAY_BATCH_ROWS=64",
		"OUTBOX_RELAY_SHUTDOWN_GRACE=10s",
	}
}

// newWorld starts everything but the relays.
func newWorld(ctx context.Context, cfg Config) (w *World, err error) {
	w = &World{log: cfg.Log, dir: cfg.Dir, ledger: newLedger()}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	if err := w.startServers(ctx); err != nil {
		return w, err
	}
	if err := w.makeLines(cfg.Seed); err != nil {
		return w, err
	}
	if err := w.makeDatabase(ctx); err != nil {
		return w, err
	}
	binary := cfg.Binary
	if binary == "" {
		if binary, err = buildRelay(ctx, w.dir); err != nil {
			return w, err
		}
	}
	w.fleet, err = newFleet(ctx, binary, w.dir, relaySettings(databaseURL(relayRole, w.databaseLine.Addr()), w.nameServerLine.Addr()))
	return w, err
}

// startServers starts them as processes: the faults stop them by signals and delete their files.
func (w *World) startServers(ctx context.Context) error {
	w.store = filepath.Join(w.dir, "store")
	config := brokerSettings()
	config["brokerIP1"] = proxyHost
	config["storePathRootDir"] = w.store
	config["storePathCommitLog"] = filepath.Join(w.store, "commitlog")
	opts := stack.Options{Engine: stack.EngineNative, Dir: w.dir, Logger: w.log, BrokerConfig: config, FakeClock: true}
	servers, err := stack.Start(ctx, opts)
	if missing := (*stack.MissingError)(nil); errors.As(err, &missing) && slices.Equal(missing.What, []stack.Prerequisite{stack.FakeTime}) {
		w.log.LogAttrs(ctx, slog.LevelWarn, "the broker's clock cannot be set: libfaketime is not installed")
		opts.FakeClock = false
		servers, err = stack.Start(ctx, opts)
	}
	if err != nil {
		return err
	}
	w.fakeClock = opts.FakeClock
	w.servers = servers
	w.postgres, w.nameServer, w.broker = servers.Postgres, servers.NameServer, servers.Broker
	w.topic = topicReader{addr: w.broker.Addr, broker: w.broker.Name}
	return w.broker.CreateTopic(ctx, topic, queues, "TRANSACTION")
}

// makeLines puts a network that can fail between the relays and their servers.
func (w *World) makeLines(seed uint64) (err error) {
	_, port, err := net.SplitHostPort(w.broker.Addr)
	if err != nil {
		return fmt.Errorf("read the broker's address: %w", err)
	}
	advertised := net.JoinHostPort(proxyHost, port)
	if w.brokerLine, err = proxy.RocketMQ(proxy.Options{Listen: advertised, Upstream: w.broker.Addr, Seed: seed}); err != nil {
		return err
	}
	anyPort := net.JoinHostPort(proxyHost, "0")
	if w.nameServerLine, err = proxy.RocketMQ(proxy.Options{Listen: anyPort, Upstream: w.nameServer.Addr, Seed: seed}); err != nil {
		return err
	}
	w.databaseLine, err = proxy.Postgres(proxy.Options{Listen: anyPort, Upstream: w.postgres.Addr, Seed: seed})
	return err
}

// makeDatabase makes the outbox, the books and the roles.
func (w *World) makeDatabase(ctx context.Context) error {
	if _, err := migrations.Up(ctx, w.postgres.URL("postgres"), "public"); err != nil {
		return err
	}
	db, err := pgxpool.New(ctx, w.postgres.URL("postgres"))
	if err != nil {
		return fmt.Errorf("make the observer's pool: %w", err)
	}
	w.db = db
	app, relay, err := migrations.Grants("public", appRole, relayRole)
	if err != nil {
		return err
	}
	for _, sql := range []string{"CREATE ROLE " + appRole + " LOGIN", "CREATE ROLE " + relayRole + " LOGIN", app, relay, bookSchema} {
		if _, err := w.db.Exec(ctx, sql); err != nil {
			return fmt.Errorf("prepare the database: %w", err)
		}
	}
	return nil
}

// databaseURL is the database for a role.
func databaseURL(role, addr string) string {
	u := url.URL{Scheme: "postgres", User: url.User(role), Host: addr, Path: "/postgres", RawQuery: "sslmode=disable"}
	return u.String()
}

// close ends everything that runs. What was written stays.
func (w *World) close() error {
	var errs []error
	if w.fleet != nil {
		errs = append(errs, w.fleet.close())
	}
	if w.db != nil {
		w.db.Close()
	}
	for _, line := range []*proxy.Proxy{w.brokerLine, w.nameServerLine, w.databaseLine} {
		if line != nil {
			errs = append(errs, line.Close())
		}
	}
	if w.servers != nil {
		errs = append(errs, w.servers.Close())
	}
	return errors.Join(errs...)
}

// workDir makes the folder of a run: PostgreSQL's own user must be able to enter it.
func workDir(dir string) (string, error) {
	if dir == "" {
		made, err := os.MkdirTemp("", "outbox-relay-chaos-")
		if err != nil {
			return "", fmt.Errorf("make a folder: %w", err)
		}
		dir = made
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make a folder: %w", err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", fmt.Errorf("open up the folder: %w", err)
	}
	return filepath.Abs(dir)
}
