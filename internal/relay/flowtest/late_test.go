package flowtest

import (
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/stack"
	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
)

// promptly is well below the minute after which a sweep would find what was overlooked.
const promptly = 20 * time.Second

// A transaction that inserted stays open for so long that reads pass it, or is prepared, or both. Everything else flows. When it
// is committed, its row arrives at once, and before the next one of its key.
func TestWriterThatStaysOpenIsNotOverlooked(t *testing.T) {
	t.Parallel()
	postgres, err := stack.StartPostgres(t.Context(), stack.Options{
		PostgresConfig: map[string]string{"max_prepared_transactions": "5"}, Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = postgres.Close() })
	servers := stacktest.Shared(t)
	w := worldOn(t, postgres.URL("postgres"), servers.NameServer(), servers.Topic(t, 4), servers.Group(t))
	w.start()
	rows := 0
	for _, prepared := range []string{"", "at once", "later"} {
		tx, err := w.db.Begin(t.Context())
		require.NoError(t, err)
		_, err = tx.Exec(t.Context(), `INSERT INTO outbox (topic, ordering_key, payload) VALUES ($1, 'late', 'late')`, w.topic)
		require.NoError(t, err)
		flow := func(d time.Duration) {
			for until := time.Now().Add(d); time.Now().Before(until); rows += 20 {
				w.insert(20, "a", "b", "")
				w.drained()
			}
		}
		prepare := func() {
			_, err := tx.Exec(t.Context(), `PREPARE TRANSACTION 'late'`)
			require.NoError(t, err)
		}
		if prepared == "at once" {
			flow(400 * time.Millisecond) // a sample sees it under its first name
			prepare()
		}
		flow(2 * time.Second)
		if prepared == "later" {
			prepare()
			flow(time.Second)
		}
		committed := time.Now()
		if prepared == "" {
			require.NoError(t, tx.Commit(t.Context()))
		} else {
			_, err = w.db.Exec(t.Context(), `COMMIT PREPARED 'late'`)
			require.NoError(t, err)
			_ = tx.Rollback(t.Context()) // gives the connection back
		}
		w.insert(2, "late")
		w.drained()
		assert.Less(t, time.Since(committed), promptly, "prepared %q", prepared)
		rows += 3
		w.exactly(rows)
	}
}
