package listener_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	official "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/stack"
	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
	"github.com/outbox-relay/outbox-relay/migrations"
	"github.com/outbox-relay/outbox-relay/txcheck"
	"github.com/outbox-relay/outbox-relay/txcheck/listener"
)

const patience = 90 * time.Second

// A world is a service: its database, its topic and group, and what brokers asked it.
type world struct {
	*testing.T
	url, nameServer, topic, group string
	db                            *pgxpool.Pool
	markers                       *txcheck.Markers
	log                           lockedBuffer

	mu      sync.Mutex
	answers map[string][]txcheck.Answer // by id
}

func newWorld(t *testing.T) *world {
	t.Helper()
	nameServer, broker := startCluster(t)
	servers := stacktest.Shared(t)
	w := &world{
		T: t, url: servers.Database(t), nameServer: nameServer, topic: servers.Group(t), group: servers.Group(t),
		answers: make(map[string][]txcheck.Answer),
	}
	require.NoError(t, broker.CreateTopic(t.Context(), w.topic, 2, "TRANSACTION"))
	_, err := migrations.Up(t.Context(), w.url, "public")
	require.NoError(t, err)
	w.db, err = pgxpool.New(t.Context(), w.url)
	require.NoError(t, err)
	t.Cleanup(w.db.Close)
	_, err = w.db.Exec(t.Context(), `CREATE TABLE orders (id text PRIMARY KEY)`)
	require.NoError(t, err)
	w.markers, err = txcheck.OpenMarkers(t.Context(), txcheck.MarkerOptions{Database: w.url, Grace: 100 * time.Millisecond})
	require.NoError(t, err)
	t.Cleanup(w.markers.Close)
	return w
}

// start starts a producer whose listener asks markers.
func (w *world) start(markers listener.Markers) (*listener.Listener, official.TransactionProducer) {
	w.Helper()
	l := listener.New(markers, w.db, listener.Options{
		Logger: slog.New(slog.NewTextHandler(&w.log, nil)),
		OnCheck: func(_, id string, answer txcheck.Answer) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.answers[id] = append(w.answers[id], answer)
		},
	})
	p, err := newProducer(l, w.nameServer, w.group)
	require.NoError(w, err)
	w.Cleanup(func() { _ = p.Shutdown() })
	require.NoError(w, l.Bind(w.Context(), p, w.topic))
	return l, p
}

func (w *world) asked(id string) []txcheck.Answer {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.answers[id]
}

func (w *world) last(id string) txcheck.Answer {
	if all := w.asked(id); len(all) > 0 {
		return all[len(all)-1]
	}
	return txcheck.Unknown
}

func (w *world) place(order string) func(tx pgx.Tx) error {
	return func(tx pgx.Tx) error {
		_, err := tx.Exec(w.Context(), `INSERT INTO orders VALUES ($1)`, order)
		return err
	}
}

func (w *world) placed(order string) (yes bool) {
	w.Helper()
	require.NoError(w, w.db.QueryRow(w.Context(), `SELECT EXISTS (SELECT FROM orders WHERE id = $1)`, order).Scan(&yes))
	return yes
}

func (w *world) message(body string) *primitive.Message {
	return primitive.NewMessage(w.topic, []byte(body))
}

// delivered waits until the topic holds a message with the body, and returns how many there are.
func (w *world) delivered(body string) int {
	w.Helper()
	require.Eventually(w, func() bool { return w.count(body) > 0 }, patience, 20*time.Millisecond)
	return w.count(body)
}

func (w *world) count(body string) int {
	w.Helper()
	messages, err := stack.ReadTopic(w.Context(), w.nameServer, w.topic)
	require.NoError(w, err)
	n := 0
	for _, m := range messages {
		if string(m.Body) == body {
			n++
		}
	}
	return n
}

func TestCommittedTransactionIsDelivered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l, p := w.start(w.markers)
	answer, err := l.Send(t.Context(), p, w.message("A"), w.place("A"))
	require.NoError(t, err)
	require.Equal(t, txcheck.Commit, answer)
	require.Positive(t, w.delivered("A"))
	require.True(t, w.placed("A"))
}

func TestRolledBackTransactionIsNotDelivered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l, p := w.start(w.markers)
	soldOut := errors.New("sold out")
	answer, err := l.Send(t.Context(), p, w.message("A"), func(tx pgx.Tx) error { return errors.Join(w.place("A")(tx), soldOut) })
	require.ErrorIs(t, err, soldOut)
	require.Equal(t, txcheck.Rollback, answer)

	panicked := w.message("P")
	answer, err = l.Send(t.Context(), p, panicked, func(pgx.Tx) error { panic("in the transaction") })
	require.ErrorContains(t, err, "in the transaction")
	require.Equal(t, txcheck.Unknown, answer)
	id := panicked.GetProperty(txcheck.MarkerProperty)
	require.Eventually(t, func() bool { return w.last(id) == txcheck.Rollback }, patience, 20*time.Millisecond)

	_, err = l.Send(t.Context(), p, w.message("B"), w.place("B"))
	require.NoError(t, err)
	w.delivered("B")
	require.Zero(t, w.count("A"))
	require.Zero(t, w.count("P"))
	require.False(t, w.placed("A"))
}

// Killed between COMMIT and END_TRANSACTION: the process that comes after is asked, although it sends nothing.
func TestKilledBetweenCommitAndEndTransaction(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), victimArgs+"=1", "VICTIM_DATABASE="+w.url, "VICTIM_NAMESERVER="+w.nameServer,
		"VICTIM_TOPIC="+w.topic, "VICTIM_GROUP="+w.group)
	out, err := cmd.CombinedOutput()
	require.ErrorContains(t, err, "killed", string(out))
	require.True(t, w.placed("of the victim"))
	require.Zero(t, w.count("of the victim"))

	w.start(w.markers)
	require.Positive(t, w.delivered("of the victim"))
}

// A transaction that takes longer than the broker waits is asked about while it runs.
func TestSlowTransactionIsAnsweredUnknownAndThenDelivered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l, p := w.start(w.markers)
	m := w.message("A")
	answer, err := l.Send(t.Context(), p, m, func(tx pgx.Tx) error {
		id := m.GetProperty(txcheck.MarkerProperty)
		require.Eventually(t, func() bool { return len(w.asked(id)) >= 3 }, patience, 20*time.Millisecond)
		for _, answer := range w.asked(id) {
			require.Equal(t, txcheck.Unknown, answer)
		}
		require.Zero(t, w.count("A"))
		return w.place("A")(tx)
	})
	require.NoError(t, err)
	require.Equal(t, txcheck.Commit, answer)
	require.Positive(t, w.delivered("A"))
	require.True(t, w.placed("A"))
}

// late begins its transactions only when the broker has been told Rollback.
type late struct {
	*txcheck.Markers
	w *world
}

func (l late) Run(ctx context.Context, db txcheck.Beginner, id string, fn func(tx pgx.Tx) error) (txcheck.Answer, error) {
	if !waitFor(func() bool { return l.w.last(id) == txcheck.Rollback }) {
		return txcheck.Unknown, errors.New("nobody asked")
	}
	return l.Markers.Run(ctx, db, id, fn)
}

func waitFor(done func() bool) bool {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if done() {
			return true
		}
	}
	return false
}

// The fence, with a real broker that was told Rollback: a process that was frozen before its transaction cannot commit it.
func TestTransactionCannotCommitAfterTheBrokerWasToldRollback(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l, p := w.start(late{w.markers, w})
	answer, err := l.Send(t.Context(), p, w.message("A"), w.place("A"))
	require.ErrorIs(t, err, txcheck.ErrDecided)
	require.Equal(t, txcheck.Rollback, answer)
	require.False(t, w.placed("A"))
	require.Zero(t, w.count("A"))
}

// Two services with databases of their own share a group by mistake: each is asked about the other's messages.
func TestSharedGroupIsNoticedAndHarmless(t *testing.T) {
	t.Parallel()
	ours, theirs := newWorld(t), newWorld(t)
	theirs.group = ours.group
	theirs.start(theirs.markers)
	l, p := ours.start(ours.markers)
	m := ours.message("A")
	_, err := l.Send(t.Context(), p, m, func(tx pgx.Tx) error {
		id := m.GetProperty(txcheck.MarkerProperty)
		require.Eventually(t, func() bool { return len(theirs.asked(id)) > 0 }, patience, 20*time.Millisecond)
		return ours.place("A")(tx)
	})
	require.NoError(t, err)
	require.Positive(t, ours.delivered("A"))
	for _, answer := range theirs.asked(m.GetProperty(txcheck.MarkerProperty)) {
		require.Equal(t, txcheck.Unknown, answer)
	}
	require.Contains(t, theirs.log.String(), "the producer group is shared")
}

func TestSendThatStoresNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l, p := w.start(w.markers)
	m := primitive.NewMessage(w.topic+"-misspelled", []byte("A"))
	answer, err := l.Send(t.Context(), p, m, func(pgx.Tx) error { panic("it must not run") })
	require.ErrorIs(t, err, listener.ErrNotStored)
	require.ErrorContains(t, err, "misspelled")
	require.Equal(t, txcheck.Rollback, answer)

	over, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = l.Send(over, p, w.message("A"), func(pgx.Tx) error { panic("it must not run") })
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, l.Bind(over, p, w.topic+"-misspelled"), context.Canceled)

	require.Equal(t, primitive.UnkonwnState, l.ExecuteLocalTransaction(w.message("sent without Send")))
	require.Contains(t, w.log.String(), "without Send")
}

// A check that panics does not end the client's loop.
func TestPanicInACheckIsUnknown(t *testing.T) {
	t.Parallel()
	l := listener.New(nil, nil, listener.Options{})
	m := &primitive.MessageExt{}
	for range 2 {
		require.Equal(t, primitive.UnkonwnState, l.CheckLocalTransaction(m))
	}
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
