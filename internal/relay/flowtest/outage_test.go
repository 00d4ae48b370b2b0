package flowtest

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/stack"
	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
)

// write inserts rows, a few at a time, until stopped; it goes on while the database is away. It returns how many it committed.
func (w *world) write(keys ...string) (stop func() int) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for i := 0; ctx.Err() == nil; i++ {
			// Not cut off by stop: the server would go on with it, and commit a row behind our back.
			within, done := context.WithTimeout(context.Background(), patience)
			_, _ = w.db.Exec(within, `INSERT INTO outbox (topic, ordering_key, payload) VALUES ($1, nullif($2, ''), 'x')`,
				w.topic, keys[i%len(keys)])
			done()
			<-tick.C
		}
	}()
	return func() int {
		cancel()
		<-done
		return w.number("SELECT last_value FROM outbox_id_seq")
	}
}

// arrived checks that every row that was committed is on the topic once: what left the outbox did so through the ledger.
func (w *world) arrived(upTo int) {
	w.t.Helper()
	var never []int64
	require.NoError(w.t, w.db.QueryRow(w.t.Context(), `SELECT coalesce(array_agg(id), '{}') FROM generate_series(1, $1::bigint) id
		WHERE NOT EXISTS (SELECT FROM committed c WHERE c.id = id.id)`, upTo).Scan(&never))
	w.exactly(upTo, never...)
}

// keepBooks remembers which rows are committed, beside the outbox, for arrived to compare with.
func (w *world) keepBooks() {
	w.t.Helper()
	_, err := w.db.Exec(w.t.Context(), `CREATE TABLE committed (id bigint PRIMARY KEY);
		CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO committed VALUES (new.id); RETURN NULL; END';
		CREATE TRIGGER note AFTER INSERT ON outbox FOR EACH ROW EXECUTE FUNCTION note()`)
	require.NoError(w.t, err)
}

func TestBrokerKilledUnderLoad(t *testing.T) {
	t.Parallel()
	stacktest.Needs(t, stack.Fence)
	w, broker := worldWithBroker(t, map[string]string{"flushDiskType": "SYNC_FLUSH"})
	w.keepBooks()
	w.start()
	stop := w.write("a", "", "b", "", "c")
	for range 2 {
		before := w.sent()
		require.Eventually(t, func() bool { return w.sent() > before+50 }, patience, 5*time.Millisecond)
		require.NoError(t, broker.Kill())
		require.NoError(t, broker.Start(t.Context()))
	}
	before := w.sent()
	require.Eventually(t, func() bool { return w.sent() > before+50 }, patience, 20*time.Millisecond, "it goes on by itself")
	n := stop()
	w.drained()
	w.arrived(n)
}

func (w *world) sent() int { return w.count("outbox_sent") }

func TestBrokerDownTouchesNoRow(t *testing.T) {
	t.Parallel()
	w, broker := worldWithBroker(t, nil)
	w.start()
	w.insert(10)
	w.drained()
	require.NoError(t, broker.Kill())
	w.insert(300, "a", "", "b")
	warnings := w.seen.Load()
	require.Eventually(t, func() bool { return w.seen.Load() > warnings }, patience, 20*time.Millisecond, "the relay has noticed")
	versions := `SELECT count(DISTINCT xmin::text) FROM outbox`
	assert.Equal(t, 1, w.number(versions), "no row was written to")
	require.NoError(t, broker.Start(t.Context()))
	w.drained()
	w.exactly(310)
	assert.Zero(t, w.number(`SELECT count(*) FROM outbox WHERE attempts > 0`))
}

func TestPostgresKilledUnderLoad(t *testing.T) {
	t.Parallel()
	postgres, err := stack.StartPostgres(t.Context(), stack.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = postgres.Close() })
	servers := stacktest.Shared(t)
	w := worldOn(t, postgres.URL("postgres"), servers.NameServer(), servers.Topic(t, 4), servers.Group(t))
	w.keepBooks()
	w.start()
	stop := w.write("a", "", "b", "", "c")
	for range 3 {
		before := w.sent()
		require.Eventually(t, func() bool { return w.sent() > before+50 }, patience, 5*time.Millisecond)
		require.NoError(t, postgres.Kill())
		require.NoError(t, postgres.Start(t.Context()))
		w.reconnect()
	}
	require.Eventually(t, func() bool { return w.count("outbox_lease") == 1 }, patience, 20*time.Millisecond)
	n := stop()
	w.drained()
	w.arrived(n)
}

// reconnect waits until the database answers again.
func (w *world) reconnect() {
	w.t.Helper()
	require.Eventually(w.t, func() bool { return w.db.Ping(context.Background()) == nil }, patience, 20*time.Millisecond)
}

func TestEveryConnectionTerminated(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 4)
	w.start()
	w.insert(3000, "a", "", "b", "", "c", "d", "e")
	for range 8 {
		left := w.count("outbox")
		_, err := w.db.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE datname = current_database() AND application_name LIKE 'outbox-relay%'`)
		require.NoError(t, err)
		require.Eventually(t, func() bool { return left == 0 || w.count("outbox") < left }, patience, 5*time.Millisecond)
	}
	w.drained()
	w.exactly(3000)
}

func TestLeaseDeletedUnderLoad(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 4)
	w.start()
	w.insert(2000, "a", "", "b", "", "c", "d", "e")
	for range 5 {
		left := w.count("outbox")
		_, err := w.db.Exec(t.Context(), `DELETE FROM outbox_lease`)
		require.NoError(t, err)
		require.Eventually(t, func() bool { return left == 0 || w.count("outbox") < left }, patience, 5*time.Millisecond)
	}
	w.drained()
	w.exactly(2000)
}
