package bench

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// prefix begins the names of everything that is made.
const prefix = "outbox_bench_"

// A place is where one case happens: a schema and a topic that nobody else uses.
type place struct {
	bench   *Bench
	schema  string
	topic   string
	kind    kind
	brokers []Broker
	db      *pgx.Conn // for filling and looking, not for measuring
}

// newPlace makes them. Close removes them, whatever happens to ctx meanwhile.
func (w *Bench) newPlace(ctx context.Context, k kind, brokers []Broker) (p *place, err error) {
	name := prefix + random()
	p = &place{bench: w, schema: name, topic: name, kind: k, brokers: brokers}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	if p.db, err = pgx.Connect(ctx, w.cfg.Servers.Postgres); err != nil {
		return p, fmt.Errorf("connect to PostgreSQL: %w", err)
	}
	if err := p.migrate(ctx); err != nil {
		return p, err
	}
	if _, err := p.db.Exec(ctx, "SET search_path = "+pgx.Identifier{p.schema}.Sanitize()); err != nil {
		return p, fmt.Errorf("use the schema %s: %w", p.schema, err)
	}
	return p, w.createTopic(ctx, p.topic, k.messageType, brokers)
}

// migrate lets the relay that is measured make its schema: it may be of another version than this program.
func (p *place) migrate(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, p.bench.cfg.Relay, "migrate", "up")
	cmd.Env = slices.Concat(p.bench.environ(), []string{
		"OUTBOX_RELAY_DATABASE_URL=" + p.bench.cfg.Servers.Postgres, "OUTBOX_RELAY_DATABASE_SCHEMA=" + p.schema,
	})
	output, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return fmt.Errorf("make the schema %s: %w", p.schema, context.Cause(ctx))
	}
	if err != nil {
		return fmt.Errorf("make the schema %s: %w: %s", p.schema, err, output)
	}
	return nil
}

// tidyPatience is what removing what was made may take, also after an interruption.
const tidyPatience = 2 * time.Minute

func (p *place) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), tidyPatience)
	defer cancel()
	err := p.bench.deleteTopic(ctx, p.topic, p.brokers)
	if p.db != nil {
		_ = p.db.Close(ctx) // a statement that was interrupted leaves it unusable
	}
	return errors.Join(err, dropSchema(ctx, p.bench.cfg.Servers.Postgres, p.schema))
}

func dropSchema(ctx context.Context, url, schema string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return fmt.Errorf("drop the schema %s: %w", schema, err)
	}
	defer conn.Close(ctx) //nolint:errcheck // What it did is done.
	if _, err := conn.Exec(ctx, "DROP SCHEMA IF EXISTS "+pgx.Identifier{schema}.Sanitize()+" CASCADE"); err != nil {
		return fmt.Errorf("drop the schema %s: %w", schema, err)
	}
	return nil
}

// settled reports whether the outbox is empty and no attempt is open.
func (p *place) settled(ctx context.Context) (bool, error) {
	var waits bool
	err := p.db.QueryRow(ctx, `SELECT EXISTS (SELECT FROM outbox) OR EXISTS (SELECT FROM outbox_attempt WHERE closed_at IS NULL)`).Scan(&waits)
	if err != nil {
		return false, fmt.Errorf("look whether all is settled: %w", err)
	}
	return !waits, nil
}

// awaitSettled waits until everything sent is settled.
func (p *place) awaitSettled(ctx context.Context) error {
	for {
		done, err := p.settled(ctx)
		if done || err != nil {
			return err
		}
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return err
		}
	}
}

// awaitCount waits until the topic has at least n messages.
func (p *place) awaitCount(ctx context.Context, n int, every time.Duration) (int, error) {
	for {
		got, err := p.bench.count(ctx, p.topic, p.brokers)
		if err != nil || got >= n {
			return got, err
		}
		if err := pause(ctx, every); err != nil {
			return got, fmt.Errorf("wait for %d messages, %d came: %w", n, got, err)
		}
	}
}

func random() string {
	b := make([]byte, 4)
	_, _ = rand.Read(b) // it never fails
	return hex.EncodeToString(b)
}
