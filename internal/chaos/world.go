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
	"strconv"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/outbox-relay/outbox-relay/internal/chaos/proxy"
	"github.com/outbox-relay/outbox-relay/internal/stack"
	"github.com/outbox-relay/outbox-relay/migrations"
)

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

	servers  *stack.Servers
	postgres *stack.Postgres
	// database is the address of whoever is PostgreSQL's primary now.
	database   atomic.Pointer[string]
	nameServer *stack.NameServer
	broker     *stack.Broker
	fakeClock  bool // whether the broker's clock can be set
	second     *stack.Broker
	standbys   []*stack.Postgres

	// What the relays connect through.
	brokerLine, nameServerLine, databaseLine *proxy.Proxy
	lines                                    []*proxy.Proxy // all of them

	db     *pgxpool.Pool // the superuser's, beside every fault: the observer's
	fleet  *fleet
	ledger *ledger
	writer *Writer
	topic  topicReader
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
	w.fleet, err = newFleet(ctx, cfg.Binary, w.dir, relaySettings(databaseURL(relayRole, w.databaseLine.Addr()), w.nameServerLine.Addr()))
	return w, err
}

// makeDatabase makes the outbox, the books and the roles.
func (w *World) makeDatabase(ctx context.Context) error {
	if _, err := migrations.Up(ctx, w.postgres.URL("postgres"), "public"); err != nil {
		return err
	}
	db, err := w.pool(ctx, "postgres", 10)
	if err != nil {
		return err
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

// pool makes connections to whoever is the primary, beside every fault.
func (w *World) pool(ctx context.Context, role string, size int32) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(databaseURL(role, w.postgres.Addr))
	if err != nil {
		return nil, fmt.Errorf("read the URL of %s: %w", role, err)
	}
	config.MaxConns = size
	config.ConnConfig.RuntimeParams["application_name"] = "chaos"
	config.ConnConfig.ConnectTimeout = 5 * time.Second
	config.BeforeConnect = func(_ context.Context, c *pgx.ConnConfig) error {
		host, port, err := net.SplitHostPort(*w.database.Load())
		if err != nil {
			return err
		}
		number, err := strconv.ParseUint(port, 10, 16)
		c.Host, c.Port = host, uint16(number)
		return err
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("make the connections of %s: %w", role, err)
	}
	return pool, nil
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
	for _, line := range w.lines {
		errs = append(errs, line.Close())
	}
	if w.second != nil {
		errs = append(errs, w.second.Close())
	}
	for _, standby := range w.standbys {
		errs = append(errs, standby.Close())
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
