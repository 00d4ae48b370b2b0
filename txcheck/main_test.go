package txcheck_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
	"github.com/outbox-relay/outbox-relay/migrations"
	"github.com/outbox-relay/outbox-relay/txcheck"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(stacktest.M{M: m}) }

// atOnce is a grace that is over before the first question.
const atOnce = time.Nanosecond

// A service has a database with the outbox's tables and one of its own.
type service struct {
	*testing.T
	url     string
	db      *pgxpool.Pool
	markers *txcheck.Markers
}

func newService(t *testing.T, change func(*txcheck.MarkerOptions)) *service {
	t.Helper()
	return newServiceAt(t, stacktest.Shared(t).Database(t), change)
}

func newServiceAt(t *testing.T, url string, change func(*txcheck.MarkerOptions)) *service {
	t.Helper()
	_, err := migrations.Up(t.Context(), url, "public")
	require.NoError(t, err)
	s := &service{T: t, url: url}
	s.db = open(t, url)
	s.exec(`CREATE TABLE orders (id text PRIMARY KEY)`)
	s.markers = openMarkers(t, url, change)
	return s
}

func open(t *testing.T, url string) *pgxpool.Pool {
	t.Helper()
	config, err := pgxpool.ParseConfig(url)
	require.NoError(t, err)
	config.MaxConns = 16 // more transactions are open at once than there are processors
	db, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(db.Close)
	return db
}

// openMarkers has no grace, unless change sets one.
func openMarkers(t *testing.T, url string, change func(*txcheck.MarkerOptions)) *txcheck.Markers {
	t.Helper()
	o := txcheck.MarkerOptions{Database: url, Grace: atOnce}
	if change != nil {
		change(&o)
	}
	markers, err := txcheck.OpenMarkers(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(markers.Close)
	return markers
}

func (s *service) exec(sql string, args ...any) {
	s.Helper()
	_, err := s.db.Exec(s.Context(), sql, args...)
	require.NoError(s, err, sql)
}

// placed reports whether the order has been committed.
func (s *service) placed(order string) (yes bool) {
	s.Helper()
	require.NoError(s, s.db.QueryRow(s.Context(), `SELECT EXISTS (SELECT FROM orders WHERE id = $1)`, order).Scan(&yes))
	return yes
}

func (s *service) check(id string) txcheck.Answer {
	s.Helper()
	answer, err := s.markers.Check(s.Context(), id)
	require.NoError(s, err)
	return answer
}

// begin begins a transaction and ends it, at the latest, with the test.
func (s *service) begin(o pgx.TxOptions) pgx.Tx {
	s.Helper()
	tx, err := s.db.BeginTx(s.Context(), o)
	require.NoError(s, err)
	s.Cleanup(func() { _ = tx.Rollback(context.Background()) })
	return tx
}

func place(ctx context.Context, order string) func(tx pgx.Tx) error {
	return func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO orders VALUES ($1)`, order)
		return err
	}
}
