package proxy_test

import (
	"context"
	"crypto/rand"
	"net/url"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/chaos/proxy"
	"github.com/outbox-relay/outbox-relay/internal/postgres"
	"github.com/outbox-relay/outbox-relay/internal/relay"
	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
	"github.com/outbox-relay/outbox-relay/migrations"
)

// outbox is the relay's own store with a proxy before the shared PostgreSQL.
type outbox struct {
	*postgres.Store
	t       *testing.T
	proxy   *proxy.Proxy
	admin   *pgxpool.Pool // past the proxy
	url     string        // by the proxy
	session uuid.UUID
}

func newOutbox(t *testing.T) *outbox {
	t.Helper()
	direct := stacktest.Shared(t).Database(t)
	_, err := migrations.Up(t.Context(), direct, "public")
	require.NoError(t, err)
	u, err := url.Parse(direct)
	require.NoError(t, err)
	o := &outbox{t: t, proxy: started(t, proxy.Postgres, u.Host), session: uuid.New()}
	u.Host = o.proxy.Addr()
	o.url = u.String()
	o.admin, err = pgxpool.New(t.Context(), direct)
	require.NoError(t, err)
	t.Cleanup(o.admin.Close)
	pool, err := postgres.Open(t.Context(), postgres.Config{URL: o.url, Instance: "test"})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	t.Cleanup(func() { o.proxy.CutAll() }) // A pool waits 15 s for half-open connections to end.
	o.Store = postgres.New(pool, "public")
	require.NoError(t, o.OpenSession(t.Context(), relay.Session{ID: o.session, Instance: "test"}, time.Hour))
	_, err = o.TakeShards(t.Context(), o.session, ^uint64(0))
	require.NoError(t, err)
	return o
}

func (o *outbox) count(from string) (n int) {
	o.t.Helper()
	require.NoError(o.t, o.admin.QueryRow(o.t.Context(), "SELECT count(*) FROM "+from).Scan(&n))
	return n
}

// attempt inserts n rows and makes an attempt of them.
func (o *outbox) attempt(n int) *relay.Attempt {
	o.t.Helper()
	a := &relay.Attempt{
		Way:    relay.WayHalf,
		Broker: "broker-a", Address: "127.0.0.1:10911", Born: time.UnixMilli(1_700_000_000_123), Window: 10 * time.Second,
		Targets: []relay.Target{{Topic: "orders", Queue: 3, ReadFrom: 77}},
	}
	_, _ = rand.Read(a.ID[:])
	rows, err := o.admin.Query(o.t.Context(),
		`INSERT INTO outbox (topic, payload) SELECT 'orders', 'x' FROM generate_series(1, $1::int) RETURNING id`, n)
	require.NoError(o.t, err)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	require.NoError(o.t, err)
	for i, id := range ids {
		a.Entries = append(a.Entries, relay.Entry{Index: i, Row: id, Shard: int16(id & 63), HalfOffset: id, LogOffset: id})
	}
	return a
}

func (o *outbox) write(closings []relay.Closing, attempts ...*relay.Attempt) error {
	ctx, cancel := context.WithTimeout(o.t.Context(), time.Second)
	defer cancel()
	_, err := o.Write(ctx, o.session, closings, attempts)
	return err
}

func TestDecideWhoseAnswerIsLostIsInTheLedger(t *testing.T) {
	t.Parallel()
	for _, then := range []proxy.Then{proxy.Cut, proxy.HalfOpen} {
		t.Run(string(then), func(t *testing.T) {
			t.Parallel()
			o := newOutbox(t)
			add(t, o.proxy, proxy.Rule{Act: proxy.LoseAnswer, Kinds: []proxy.Kind{proxy.Decide}, Times: 1, Then: then})
			require.Error(t, o.write(nil, o.attempt(3)))
			counted(t, o.proxy, proxy.LoseAnswer, proxy.Decide, 1)
			require.Equal(t, 1, o.count("outbox_attempt"))

			require.NoError(t, o.write(nil, o.attempt(2)), "on another connection")
			require.Equal(t, 2, o.count("outbox_attempt"))
			counted(t, o.proxy, proxy.PassedAnswer, proxy.Decide, 1)
		})
	}
}

func TestDecideThatIsLostIsNotInTheLedger(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	add(t, o.proxy, proxy.Rule{Act: proxy.LoseRequest, Kinds: []proxy.Kind{proxy.Decide}, Times: 1, Then: proxy.Cut})
	require.Error(t, o.write(nil, o.attempt(3)))
	counted(t, o.proxy, proxy.LoseRequest, proxy.Decide, 1)
	require.Zero(t, o.count("outbox_attempt"))
}

// The good path settles in the pipeline that also decides; a part of an attempt is settled in a transaction with a COMMIT.
func TestSettleWhoseAnswerIsLostIsDurable(t *testing.T) {
	t.Parallel()
	for name, closing := range map[string]relay.Closing{
		"pipeline": {All: true}, "transaction": {Settled: []int{0, 1, 2}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOutbox(t)
			a := o.attempt(3)
			require.NoError(t, o.write(nil, a))
			closing.Attempt = a.ID
			lost := o.attempt(1)
			add(t, o.proxy, proxy.Rule{Act: proxy.LoseRequest, Kinds: []proxy.Kind{proxy.Settle}, Times: 1, Then: proxy.Cut})
			require.Error(t, o.write([]relay.Closing{closing}, lost))
			require.Equal(t, 4, o.count("outbox"), "the request was lost: nothing is settled")

			add(t, o.proxy, proxy.Rule{Act: proxy.LoseAnswer, Kinds: []proxy.Kind{proxy.Settle}, Times: 1, Then: proxy.Cut})
			require.Error(t, o.write([]relay.Closing{closing}))
			counted(t, o.proxy, proxy.LoseAnswer, proxy.Settle, 1)
			require.Equal(t, 1, o.count("outbox"), "the answer was lost: it is settled")
			require.Zero(t, o.count("outbox_attempt WHERE closed_at IS NULL"))
		})
	}
}

func TestRefusedDecisionIsCountedAsSuch(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	a := o.attempt(1)
	require.NoError(t, o.write(nil, a))
	add(t, o.proxy, proxy.Rule{Act: proxy.LoseAnswer, Kinds: []proxy.Kind{proxy.Decide}, Times: 1, Then: proxy.Cut})
	require.Error(t, o.write(nil, a), "its id is taken")
	require.Equal(t, 1, o.proxy.Counts()[proxy.Count{Act: proxy.LoseAnswer, Kind: proxy.Decide, Refused: true}])
}

func TestLeaseIsToldFromTheRest(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	add(t, o.proxy, proxy.Rule{Act: proxy.LoseRequest, Kinds: []proxy.Kind{proxy.Lease}, Times: 1, Then: proxy.Cut})
	require.NoError(t, o.write(nil, o.attempt(1)), "a decision reads the lease, and is a decision")
	require.Error(t, o.RenewSession(t.Context(), o.session, time.Hour))
	require.NoError(t, o.RenewSession(t.Context(), o.session, time.Hour))
	counted(t, o.proxy, proxy.LoseRequest, proxy.Lease, 1)
}

func TestEverythingElseOfTheProtocolPasses(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	config, err := pgx.ParseConfig(o.url)
	require.NoError(t, err)
	conn, err := pgx.ConnectConfig(t.Context(), config)
	require.NoError(t, err)
	defer conn.Close(context.Background()) //nolint:errcheck // The end of the test.

	// COPY, both ways: what is copied is not answered piece by piece.
	_, err = conn.Exec(t.Context(), "CREATE TABLE copied (n int)")
	require.NoError(t, err)
	n, err := conn.CopyFrom(t.Context(), pgx.Identifier{"copied"}, []string{"n"},
		pgx.CopyFromSlice(50_000, func(i int) ([]any, error) { return []any{i}, nil }))
	require.NoError(t, err)
	require.EqualValues(t, 50_000, n)

	// Errors leave the connection as it was; so does a failed transaction.
	_, err = conn.Exec(t.Context(), "SELECT 1/0")
	require.ErrorContains(t, err, "division by zero")
	tx, err := conn.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "SELECT 1/$1::int", 0)
	require.ErrorContains(t, err, "division by zero")
	require.ErrorIs(t, tx.Commit(t.Context()), pgx.ErrTxCommitRollback)

	// A notification comes without being asked for.
	_, err = conn.Exec(t.Context(), "LISTEN news")
	require.NoError(t, err)
	_, err = o.admin.Exec(t.Context(), "NOTIFY news, 'x'")
	require.NoError(t, err)
	news, err := conn.WaitForNotification(t.Context())
	require.NoError(t, err)
	require.Equal(t, "x", news.Payload)

	// A large answer in many pieces.
	var long string
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT repeat('long', 1000000)").Scan(&long))
	require.Len(t, long, 4_000_000)

	// A cancel request has a connection of its own.
	done := make(chan error, 1)
	go func() {
		_, err := conn.Exec(context.Background(), "SELECT pg_sleep(60)")
		done <- err
	}()
	require.Eventually(t, func() bool {
		return o.count("pg_stat_activity WHERE query = 'SELECT pg_sleep(60)' AND state = 'active'") == 1
	}, soon, time.Millisecond)
	require.NoError(t, conn.PgConn().CancelRequest(t.Context()))
	require.ErrorContains(t, <-done, "canceling statement")
	counted(t, o.proxy, proxy.PassedRequest, proxy.Cancel, 1)

	// Who would rather encrypt is told that it cannot be had.
	u, err := url.Parse(o.url)
	require.NoError(t, err)
	u.RawQuery = "sslmode=prefer"
	preferring, err := pgx.Connect(t.Context(), u.String())
	require.NoError(t, err)
	require.NoError(t, preferring.Close(t.Context()))
}

func TestFatalErrorOfTheServerArrives(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	conn, err := pgx.Connect(t.Context(), o.url)
	require.NoError(t, err)
	defer conn.Close(context.Background()) //nolint:errcheck // It is over.
	done := make(chan error, 1)
	go func() {
		_, err := conn.Exec(context.Background(), "SELECT pg_sleep(61)")
		done <- err
	}()
	require.Eventually(t, func() bool {
		return o.count("(SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(61)') x") == 1
	}, soon, 10*time.Millisecond)
	require.ErrorContains(t, <-done, "57P01")
}

func TestUpstreamCanChange(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	real := stacktest.Shared(t).Postgres()
	u, err := url.Parse(real)
	require.NoError(t, err)
	o.proxy.SetUpstream("127.0.0.1:1") // Nobody.
	require.Positive(t, o.proxy.CutAll())
	require.Error(t, o.Ping(t.Context()))
	o.proxy.SetUpstream(u.Host)
	require.Eventually(t, func() bool { return o.Ping(t.Context()) == nil }, soon, 10*time.Millisecond)
}
