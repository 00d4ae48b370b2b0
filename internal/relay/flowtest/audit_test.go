package flowtest

import (
	"strconv"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// exactly checks the topic: the rows with ids 1 to n (less those named) once each, each key's in order and on one queue, and
// that the ledger says the same.
func (w *world) exactly(n int, without ...int64) {
	w.t.Helper()
	missing := make(map[int64]bool)
	for _, id := range without {
		missing[id] = true
	}
	times := make(map[int64]int)
	type place struct {
		queue int
		last  int64
	}
	keys := make(map[string]place)
	ledger := w.ledger()
	for _, m := range w.read() {
		id, err := strconv.ParseInt(m.Properties["outbox-id"], 10, 64)
		require.NoError(w.t, err, "a message that is not a row's: %v", m.Properties)
		times[id]++
		if key := m.Properties["SHARDING_KEY"]; key != "" {
			before, seen := keys[key]
			if seen {
				assert.Equal(w.t, before.queue, m.Queue, "key %s is on two queues", key)
				assert.Greater(w.t, id, before.last, "key %s is out of order", key)
			}
			keys[key] = place{m.Queue, id}
		}
		if times[id] == 1 && ledger[id] != m.ID {
			assert.Equal(w.t, ledger[id], m.ID, "the ledger names another message for row %d", id)
		}
	}
	for id := int64(1); id <= int64(n); id++ {
		want := 1
		if missing[id] {
			want = 0
		}
		if times[id] != want {
			assert.Equal(w.t, want, times[id], "messages of row %d", id)
		}
		delete(times, id)
	}
	assert.Empty(w.t, times, "messages of rows that do not exist")
}

// ledger returns what outbox_sent says: the UNIQ_KEY of every row's message.
func (w *world) ledger() map[int64]string {
	w.t.Helper()
	rows, err := w.db.Query(w.t.Context(), "SELECT id, uniq_key FROM outbox_sent")
	require.NoError(w.t, err)
	keys := make(map[int64]string)
	var id int64
	var key string
	_, err = pgx.ForEachRow(rows, []any{&id, &key}, func() error {
		assert.NotContains(w.t, keys, id, "row %d is in the ledger twice", id)
		keys[id] = key
		return nil
	})
	require.NoError(w.t, err)
	return keys
}

func TestRowsArriveOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 4)
	w.insert(500)
	w.start()
	w.insert(700, "a", "b", "c", "d", "e")
	w.drained()
	w.exactly(1200)
}
