package flowtest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/relay"
)

func TestRowCommittedLateWithASmallIDIsNotOverlooked(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 4)
	w.start()
	for range 3 {
		tx, err := w.db.Begin(t.Context())
		require.NoError(t, err)
		_, err = tx.Exec(t.Context(), `INSERT INTO outbox (topic, payload) VALUES ($1, 'late')`, w.topic)
		require.NoError(t, err)
		w.insert(200, "a", "b", "")
		w.drained()
		require.NoError(t, tx.Commit(t.Context()))
		w.drained()
	}
	w.exactly(603)
}

func TestRolledBackRowsNeverAppear(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 4)
	w.start()
	var never []int64
	for range 20 {
		tx, err := w.db.Begin(t.Context())
		require.NoError(t, err)
		var id int64
		require.NoError(t, tx.QueryRow(t.Context(), `INSERT INTO outbox (topic, ordering_key, payload) VALUES ($1, 'a', 'x') RETURNING id`,
			w.topic).Scan(&id))
		w.insert(5, "a", "")
		require.NoError(t, tx.Rollback(t.Context()))
		never = append(never, id)
	}
	w.drained()
	w.exactly(120, never...)
}

func TestDeadRowBlocksOrIsSkipped(t *testing.T) {
	t.Parallel()
	for _, onDead := range []string{relay.OnDeadBlock, relay.OnDeadSkip} {
		t.Run(onDead, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 2)
			_, err := w.db.Exec(t.Context(), `INSERT INTO outbox (topic, ordering_key, payload)
				VALUES ($1, 'a', 'before'), ($1, 'a', ''), ($1, 'a', 'behind'), ($1, 'b', 'another key')`, w.topic)
			require.NoError(t, err)
			change := func(c *relay.Config) { c.Topics[0].OnDead = onDead }
			first := w.start(change)
			require.Eventually(t, func() bool { return w.count("outbox_dead") == 1 }, patience, 10*time.Millisecond)
			if onDead == relay.OnDeadSkip {
				w.drained()
				w.exactly(4, 2)
				return
			}
			require.Eventually(t, func() bool { return w.count("outbox") == 1 }, patience, 10*time.Millisecond)
			first.end()
			w.start(change)
			w.insert(3, "b") // rows 5 to 7; when they have passed, the restarted relay has read everything
			require.Eventually(t, func() bool { return w.count("outbox") == 1 }, patience, 10*time.Millisecond)
			w.exactly(7, 2, 3)
			_, err = w.db.Exec(t.Context(), `DELETE FROM outbox_dead`)
			require.NoError(t, err)
			w.drained()
			w.exactly(7, 2)
		})
	}
}

func TestRowRequeuedFromTheDeadLettersGoesBeforeItsFollowers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	_, err := w.db.Exec(t.Context(), `INSERT INTO outbox (topic, ordering_key, payload) VALUES ($1, 'a', ''), ($1, 'a', 'behind')`, w.topic)
	require.NoError(t, err)
	w.start()
	require.Eventually(t, func() bool { return w.count("outbox_dead") == 1 }, patience, 10*time.Millisecond)
	_, err = w.db.Exec(t.Context(), `WITH d AS (DELETE FROM outbox_dead RETURNING *)
		INSERT INTO outbox (id, created_at, available_at, topic, ordering_key, payload) OVERRIDING SYSTEM VALUE
		SELECT id, created_at, now(), topic, ordering_key, 'mended' FROM d`)
	require.NoError(t, err)
	w.drained()
	w.exactly(2)
}

func TestRowDeletedByHandHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	w.insert(400, "a", "")
	w.start()
	_, err := w.db.Exec(t.Context(), `DELETE FROM outbox WHERE id % 7 = 0 AND id > 200`)
	require.NoError(t, err)
	w.drained()
	seen := make(map[string]bool)
	for _, m := range w.read() {
		assert.False(t, seen[m.Properties["outbox-id"]], "row %s twice", m.Properties["outbox-id"])
		seen[m.Properties["outbox-id"]] = true
	}
	assert.GreaterOrEqual(t, len(seen), 400-29)
}

func TestRowsOfAnUnboundTopicWait(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	_, err := w.db.Exec(t.Context(), `INSERT INTO outbox (topic, payload) VALUES ('not-bound', 'x')`)
	require.NoError(t, err)
	w.start()
	w.insert(10)
	require.Eventually(t, func() bool { return w.count("outbox") == 1 }, patience, 10*time.Millisecond)
	assert.Equal(t, 1, w.count("outbox WHERE topic = 'not-bound' AND available_at IS NULL AND attempts = 0"))
}

func TestPutOffRowDoesNotHoldUpOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	w.start()
	_, err := w.db.Exec(t.Context(), `INSERT INTO outbox (topic, payload, available_at) VALUES ($1, 'later', now() + interval '2 s')`, w.topic)
	require.NoError(t, err)
	w.insert(10)
	require.Eventually(t, func() bool { return w.count("outbox") == 1 }, patience, 5*time.Millisecond)
	w.drained()
	w.exactly(11)
}

func TestManyRowsOfOneKeyStayInOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 4)
	w.insert(700, "hot")
	w.start()
	w.insert(100, "cold", "")
	w.drained()
	w.exactly(800)
}
