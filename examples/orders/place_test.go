package orders_test

import (
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/outbox-relay/outbox-relay/examples/orders"
	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(stacktest.M{M: m}) }

func newService(t *testing.T) *orders.Service {
	t.Helper()
	db, err := pgxpool.New(t.Context(), stacktest.Shared(t).Database(t))
	require.NoError(t, err)
	t.Cleanup(db.Close)
	migration, err := os.ReadFile("../../migrations/0001_outbox.up.sql")
	require.NoError(t, err)
	_, err = db.Exec(t.Context(), string(migration))
	require.NoError(t, err)
	stock := map[string]int64{"bread": 1000, "cake": 1, "gold": 0}
	require.NoError(t, orders.Install(t.Context(), db, []string{"miller", "smith"}, stock))
	return &orders.Service{DB: db, Topic: "orders"}
}

// messages returns the events in the outbox, in the order of their ids.
func messages(t *testing.T, s *orders.Service) []orders.Placed {
	t.Helper()
	rows, err := s.DB.Query(t.Context(), `SELECT ordering_key, dedup_key, payload FROM outbox WHERE topic = 'orders' ORDER BY id`)
	require.NoError(t, err)
	var all []orders.Placed
	var key, dedup string
	var payload []byte
	_, err = pgx.ForEachRow(rows, []any{&key, &dedup, &payload}, func() error {
		event, err := orders.DecodePlaced(payload)
		require.NoError(t, err)
		require.Equal(t, event.Customer, key)
		require.Equal(t, event.ID, dedup)
		all = append(all, event)
		return nil
	})
	require.NoError(t, err)
	return all
}

func count(t *testing.T, s *orders.Service) (n int) {
	t.Helper()
	require.NoError(t, s.DB.QueryRow(t.Context(), `SELECT count(*) FROM orders`).Scan(&n))
	return n
}

func TestPlaceWritesOrderAndMessage(t *testing.T) {
	t.Parallel()
	s := newService(t)
	number, err := s.Place(t.Context(), orders.Order{ID: "A-1", Customer: "miller", Item: "bread", Cents: 250})
	require.NoError(t, err)
	require.Equal(t, int64(1), number)
	require.Equal(t, []orders.Placed{{ID: "A-1", Customer: "miller", Number: 1, Item: "bread", Cents: 250}}, messages(t, s))
	require.Equal(t, 1, count(t, s))
}

// TestPlaceRollsBackBoth also shows that a rolled back order uses up no number.
func TestPlaceRollsBackBoth(t *testing.T) {
	t.Parallel()
	s := newService(t)
	_, err := s.Place(t.Context(), orders.Order{ID: "A-1", Customer: "miller", Item: "gold"})
	require.ErrorIs(t, err, orders.ErrSoldOut)
	require.EqualError(t, err, "place order A-1: sold out")
	_, err = s.Place(t.Context(), orders.Order{ID: "A-2", Customer: "nobody", Item: "bread"})
	require.ErrorIs(t, err, pgx.ErrNoRows)
	require.Empty(t, messages(t, s))
	require.Zero(t, count(t, s))

	_, err = s.Place(t.Context(), orders.Order{ID: "A-3", Customer: "miller", Item: "cake"})
	require.NoError(t, err)
	_, err = s.Place(t.Context(), orders.Order{ID: "A-4", Customer: "smith", Item: "cake"})
	require.ErrorIs(t, err, orders.ErrSoldOut, "there was one cake")
	require.Equal(t, []orders.Placed{{ID: "A-3", Customer: "miller", Number: 1, Item: "cake"}}, messages(t, s))
	require.Equal(t, 1, count(t, s))
}

// TestPlaceKeepsTheOrderOfACustomer lets many writers place orders of two customers at the same time: the ids of the messages
// follow the numbers that the customer's row gave out.
func TestPlaceKeepsTheOrderOfACustomer(t *testing.T) {
	t.Parallel()
	s := newService(t)
	var wg sync.WaitGroup
	errs := make(chan error, 200)
	for w := range 8 {
		wg.Go(func() {
			for i := range 25 {
				customer := []string{"miller", "smith"}[(w+i)%2]
				_, err := s.Place(t.Context(), orders.Order{ID: fmt.Sprintf("%d-%d", w, i), Customer: customer, Item: "bread"})
				errs <- err
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
	last := map[string]int64{}
	for _, m := range messages(t, s) {
		require.Equal(t, last[m.Customer]+1, m.Number, m.Customer)
		last[m.Customer] = m.Number
	}
	require.Equal(t, map[string]int64{"miller": 100, "smith": 100}, last)
}

func TestDecodePlaced(t *testing.T) {
	t.Parallel()
	_, err := orders.DecodePlaced([]byte("no JSON"))
	require.ErrorContains(t, err, "decode an order")
}
