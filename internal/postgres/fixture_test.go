package postgres_test

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net/url"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/outbox-relay/outbox-relay/internal/postgres"
	"github.com/outbox-relay/outbox-relay/internal/relay"
	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
	"github.com/outbox-relay/outbox-relay/migrations"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(stacktest.M{M: m}) }

// schema needs every kind of quoting, so that a statement that forgets it fails.
const schema = `the outbox's "Schema"`

const lease = time.Minute

// An outbox is a database with the schema in it, seen by its three roles. The store works as the relay's role, with what
// the grants give it and nothing more.
type outbox struct {
	*postgres.Store
	t     testing.TB
	pool  *pgxpool.Pool // the store's
	app   *pgxpool.Pool // the application's role; search_path is the schema
	admin *pgxpool.Pool // the superuser; search_path is the schema
	// relayURL connects as the relay's role.
	relayURL string
}

func newOutbox(t testing.TB) *outbox {
	t.Helper()
	servers := stacktest.Shared(t)
	app, relayRole := role(t, servers, "app"), role(t, servers, "relay")
	database := servers.Database(t)
	_, err := migrations.Up(t.Context(), database, schema)
	require.NoError(t, err)
	forApp, forRelay, err := migrations.Grants(schema, app, relayRole)
	require.NoError(t, err)

	o := &outbox{t: t, relayURL: as(t, database, relayRole)}
	o.admin = open(t, database)
	o.exec(forApp)
	o.exec(forRelay)
	o.app = open(t, as(t, database, app))
	o.pool, err = postgres.Open(t.Context(), postgres.Config{URL: o.relayURL, Instance: "test", MaxConns: 16})
	require.NoError(t, err)
	t.Cleanup(o.pool.Close)
	o.Store = postgres.New(o.pool, schema)
	return o
}

// another returns a store of the same outbox with a pool of its own, like another relay's.
func (o *outbox) another() *postgres.Store {
	o.t.Helper()
	pool, err := postgres.Open(o.t.Context(), postgres.Config{URL: o.relayURL, Instance: "another"})
	require.NoError(o.t, err)
	o.t.Cleanup(pool.Close)
	return postgres.New(pool, schema)
}

func role(t testing.TB, servers *stacktest.Servers, name string) string {
	t.Helper()
	bits := make([]byte, 4)
	_, err := rand.Read(bits)
	require.NoError(t, err)
	name = name + " " + hex.EncodeToString(bits)
	run := func(sql string) {
		conn, err := pgx.Connect(context.Background(), servers.Postgres())
		require.NoError(t, err)
		defer conn.Close(context.Background()) //nolint:errcheck // the statement succeeded or the test failed
		_, err = conn.Exec(context.Background(), sql)
		require.NoError(t, err)
	}
	run(`CREATE ROLE ` + quote(name) + ` LOGIN`)
	t.Cleanup(func() { run(`DROP ROLE ` + quote(name)) })
	return name
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

func as(t testing.TB, database, role string) string {
	t.Helper()
	u, err := url.Parse(database)
	require.NoError(t, err)
	u.User = url.User(role)
	return u.String()
}

func open(t testing.TB, url string) *pgxpool.Pool {
	t.Helper()
	config, err := pgxpool.ParseConfig(url)
	require.NoError(t, err)
	config.ConnConfig.RuntimeParams["search_path"] = quote(schema)
	config.MaxConns = 16
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

// exec runs a statement as the superuser.
func (o *outbox) exec(sql string, args ...any) {
	o.t.Helper()
	_, err := o.admin.Exec(o.t.Context(), sql, args...)
	require.NoError(o.t, err, sql)
}

// query1 returns the one value of a query that the superuser runs.
func query1[T any](o *outbox, sql string, args ...any) T {
	o.t.Helper()
	var value T
	require.NoError(o.t, o.admin.QueryRow(o.t.Context(), sql, args...).Scan(&value), sql)
	return value
}

// column returns the values of a query that the superuser runs.
func column[T any](o *outbox, sql string, args ...any) []T {
	o.t.Helper()
	rows, err := o.admin.Query(o.t.Context(), sql, args...)
	require.NoError(o.t, err, sql)
	values, err := pgx.CollectRows(rows, pgx.RowTo[T])
	require.NoError(o.t, err, sql)
	return values
}

// insert writes n plain rows as the application and returns their ids.
func (o *outbox) insert(n int) []int64 {
	o.t.Helper()
	return o.insertKeyed(n, "")
}

// insertKeyed writes n rows of one ordering key.
func (o *outbox) insertKeyed(n int, key string) []int64 {
	o.t.Helper()
	before := query1[int64](o, `SELECT coalesce(max(id), 0) FROM outbox`)
	_, err := o.app.Exec(o.t.Context(), `INSERT INTO outbox (topic, ordering_key, payload)
		SELECT 'orders', nullif($2, ''), convert_to('payload ' || n, 'UTF8') FROM generate_series(1, $1::int) n`, n, key)
	require.NoError(o.t, err)
	return column[int64](o, `SELECT id FROM outbox WHERE id > $1 ORDER BY id`, before)
}

// session opens a session that owns shards.
func (o *outbox) session(instance string, shards uint64) uuid.UUID {
	o.t.Helper()
	id := uuid.New()
	require.NoError(o.t, o.OpenSession(o.t.Context(), relay.Session{ID: id, Instance: instance}, lease))
	if shards != 0 {
		owned, err := o.TakeShards(o.t.Context(), id, shards)
		require.NoError(o.t, err)
		require.Equal(o.t, shards, owned)
	}
	return id
}

const all = ^uint64(0)

// attempt makes an attempt of rows, one queue, with made-up offsets.
func (o *outbox) attempt(ids ...int64) *relay.Attempt {
	o.t.Helper()
	a := &relay.Attempt{
		Way:    relay.WayHalf,
		Broker: "broker-a", Address: "127.0.0.1:10911", Born: time.UnixMilli(1_700_000_000_123), Window: 10 * time.Second,
		Targets: []relay.Target{{Topic: "orders", Queue: 3, ReadFrom: 77}},
	}
	_, err := rand.Read(a.ID[:])
	require.NoError(o.t, err)
	for i, id := range ids {
		shard := int16(id & 63)
		a.Entries = append(a.Entries, relay.Entry{
			Index: i, Row: id, Shard: shard, HalfOffset: 1000 + id, LogOffset: 1_000_000_000_000 + id*1024,
		})
	}
	return a
}

// write writes closings and decisions and wants no error.
func (o *outbox) write(session uuid.UUID, closings []relay.Closing, attempts ...*relay.Attempt) relay.Written {
	o.t.Helper()
	w, err := o.Write(o.t.Context(), session, closings, attempts)
	require.NoError(o.t, err)
	require.Len(o.t, w.Closed, len(closings))
	require.Len(o.t, w.Decided, len(attempts))
	return w
}

// decided writes an attempt over rows and wants it in the ledger.
func (o *outbox) decided(session uuid.UUID, ids ...int64) *relay.Attempt {
	o.t.Helper()
	a := o.attempt(ids...)
	require.Equal(o.t, []relay.Decision{relay.DecisionMade}, o.write(session, nil, a).Decided)
	return a
}

// pending returns the ids in the outbox.
func (o *outbox) pending() []int64 {
	o.t.Helper()
	return column[int64](o, `SELECT id FROM outbox ORDER BY id`)
}

// sent returns the ids in outbox_sent.
func (o *outbox) sent() []int64 {
	o.t.Helper()
	return column[int64](o, `SELECT id FROM outbox_sent ORDER BY id`)
}

// waiting waits until n backends of the database wait for a lock.
func (o *outbox) waiting(n int) {
	o.t.Helper()
	require.Eventually(o.t, func() bool {
		var waiting int
		err := o.admin.QueryRow(context.Background(),
			`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend' AND wait_event_type = 'Lock'`).Scan(&waiting)
		return err == nil && waiting == n
	}, 10*time.Second, 5*time.Millisecond, "no backend waits for a lock")
}

// background runs f beside the test. The function it returns waits for the result and wants no error.
func background[T any](t testing.TB, f func() (T, error)) (wait func() T) {
	t.Helper()
	type result struct {
		value T
		err   error
	}
	results := make(chan result, 1)
	go func() {
		value, err := f()
		results <- result{value, err}
	}()
	return func() T {
		t.Helper()
		select {
		case r := <-results:
			require.NoError(t, r.err)
			return r.value
		case <-time.After(time.Minute):
			require.FailNow(t, "what was started beside the test did not end")
			panic("unreachable")
		}
	}
}

// writing writes beside the test.
func (o *outbox) writing(session uuid.UUID, closings []relay.Closing, attempts ...*relay.Attempt) (wait func() relay.Written) {
	o.t.Helper()
	return background(o.t, func() (relay.Written, error) { return o.Write(o.t.Context(), session, closings, attempts) })
}

// doing runs something beside the test that has no result.
func doing(t testing.TB, f func() error) (wait func() struct{}) {
	t.Helper()
	return background(t, func() (struct{}, error) { return struct{}{}, f() })
}
