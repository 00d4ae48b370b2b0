package flowtest

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/outbox-relay/outbox-relay/internal/relay"
	"github.com/outbox-relay/outbox-relay/internal/stack"
	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
	"github.com/outbox-relay/outbox-relay/migrations"
	"github.com/outbox-relay/outbox-relay/txcheck"
)

func TestMain(m *testing.M) {
	if victim, ok := os.LookupEnv(victimVariable); ok {
		os.Exit(runVictim(victim))
	}
	goleak.VerifyTestMain(stacktest.M{M: m})
}

const patience = 40 * time.Second

// world is one outbox with one topic, on real servers.
type world struct {
	t          *testing.T
	url        string
	nameServer string
	topic      string
	group      string
	broker     *stack.Broker // if it is to be read directly, and not by the name server
	db         *pgxpool.Pool // the superuser's; the application and the auditor
	relays     int
	foreign    atomic.Int64 // halves of other outboxes that relays were asked about
	seen       atomic.Int64 // warnings of relays, for tests that wait for one
}

// newWorld makes a world on the shared servers.
func newWorld(t *testing.T, queues int) *world {
	t.Helper()
	servers := stacktest.Shared(t)
	return worldOn(t, servers.Database(t), servers.NameServer(), servers.Topic(t, queues), servers.Group(t))
}

func worldOn(t *testing.T, url, nameServer, topic, group string) *world {
	t.Helper()
	_, err := migrations.Up(t.Context(), url, "public")
	require.NoError(t, err)
	db, err := pgxpool.New(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(db.Close)
	return &world{t: t, url: url, nameServer: nameServer, topic: topic, group: group, db: db}
}

// running is a relay that runs in this process, with its own connections to both servers.
type running struct {
	w     *world
	Relay *relay.Relay
	stop  context.CancelFunc
	done  chan error
}

// settings make doubts take seconds: the shared broker's transactionTimeOut is 1 s.
func (w *world) settings() relay.Config {
	cfg := relay.DefaultConfig()
	cfg.Instance = "relay"
	cfg.Topics = []relay.Topic{{Name: w.topic, Type: relay.TypeTransaction, Delivery: relay.ExactlyOnce, OnDead: relay.OnDeadBlock}}
	cfg.Window, cfg.CommitTimeout, cfg.AppendMargin = 3*time.Second, 1500*time.Millisecond, 200*time.Millisecond
	cfg.Lease, cfg.Renew = 3*time.Second, 500*time.Millisecond
	cfg.Retry = relay.Backoff{Initial: 200 * time.Millisecond, Factor: 1.6, Jitter: 0.2, Max: 2 * time.Second}
	return cfg
}

// start runs a relay until the test ends or it is stopped.
func (w *world) start(change ...func(*relay.Config)) *running {
	w.t.Helper()
	cfg := w.settings()
	for _, c := range change {
		c(&cfg)
	}
	return w.startOn(cfg, nil)
}

// startOn lets a test put something between the relay and its broker.
func (w *world) startOn(cfg relay.Config, between func(relay.Broker) relay.Broker) *running {
	w.t.Helper()
	w.relays++
	log := slog.New(newTestHandler(w.t, fmt.Sprintf("%s#%d", cfg.Instance, w.relays), &w.seen))
	ctx, stop := context.WithCancel(context.Background())
	parts, err := connect(ctx, w.url, w.nameServer, w.group, cfg, log, func(txcheck.Half) { w.foreign.Add(1) })
	require.NoError(w.t, err)
	var broker relay.Broker = parts.client
	if between != nil {
		broker = between(parts.client)
	}
	r, err := parts.relay(cfg, broker, log)
	require.NoError(w.t, err)
	run := &running{w: w, Relay: r, stop: stop, done: make(chan error, 1)}
	go func() {
		err := r.Run(ctx)
		stop()
		parts.close()
		run.done <- err
	}()
	w.t.Cleanup(run.end)
	return run
}

// end stops the relay in good order, as SIGTERM does.
func (r *running) end() {
	r.stop()
	select {
	case err := <-r.done:
		if err != nil {
			r.w.t.Errorf("relay ended with %v", err)
		}
		r.done <- nil
	case <-time.After(patience):
		r.w.t.Error("the relay did not stop")
	}
}

// insert commits n rows in one transaction, with the keys given in turn ("" = unordered).
func (w *world) insert(n int, keys ...string) {
	w.t.Helper()
	if len(keys) == 0 {
		keys = []string{""}
	}
	_, err := w.db.Exec(w.t.Context(), `INSERT INTO outbox (topic, ordering_key, payload)
		SELECT $1, nullif(($2::text[])[1 + i % cardinality($2::text[])], ''), convert_to('message ' || i, 'UTF8')
		  FROM generate_series(0, $3::int - 1) i`, w.topic, keys, n)
	require.NoError(w.t, err)
}

// drained waits until every row is on its way out and every outcome is known.
func (w *world) drained() {
	w.t.Helper()
	rows, since := -1, time.Now()
	for {
		left, open := w.count("outbox"), w.count("outbox_attempt WHERE closed_at IS NULL")
		if left == 0 && open == 0 {
			return
		}
		if left+open != rows {
			rows, since = left+open, time.Now() // slow is not stuck
		}
		require.Less(w.t, time.Since(since), patience, "%d rows and %d open attempts are left, and nothing moves", left, open)
		<-time.After(20 * time.Millisecond)
	}
}

func (w *world) count(from string) (n int) {
	w.t.Helper()
	require.NoError(w.t, w.db.QueryRow(context.Background(), "SELECT count(*) FROM "+from).Scan(&n))
	return n
}

// read reads the topic itself.
func (w *world) read() []stack.Message {
	w.t.Helper()
	read := func(ctx context.Context, topic string) ([]stack.Message, error) {
		return stack.ReadTopic(ctx, w.nameServer, topic)
	}
	if w.broker != nil {
		read = w.broker.ReadTopic
	}
	messages, err := read(w.t.Context(), w.topic)
	require.NoError(w.t, err)
	return messages
}
