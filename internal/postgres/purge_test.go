package postgres_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/relay"
)

func TestPurge(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	session := o.session("a", all)
	closed := func(age string) *relay.Attempt {
		a := o.decided(session, o.insert(1)...)
		o.write(session, []relay.Closing{{Attempt: a.ID, All: true}})
		o.exec(`UPDATE outbox_attempt SET closed_at = now() - $1::interval WHERE id = $2`, age, a.ID[:])
		return a
	}
	young := closed("6 days")
	oldest, older, old := closed("10 days"), closed("9 days"), closed("8 days")
	open := o.decided(session, o.insert(1)...)
	o.exec(`UPDATE outbox_attempt SET decided_at = now() - interval '30 days' WHERE id = $1`, open.ID[:])

	purge := func(limit, want int) {
		t.Helper()
		n, err := o.Purge(t.Context(), 7*24*time.Hour, limit)
		require.NoError(t, err)
		require.Equal(t, want, n)
	}
	left := func(attempts ...*relay.Attempt) {
		t.Helper()
		var want [][]byte
		for _, a := range attempts {
			want = append(want, a.ID[:])
		}
		require.ElementsMatch(t, want, column[[]byte](o, `SELECT id FROM outbox_attempt`))
	}
	left(young, oldest, older, old, open)
	purge(2, 2)
	left(young, old, open)
	purge(2, 1)
	purge(2, 0)
	left(young, open)
}

// Filled and purged again and again, with the vacuum that Postgres runs by itself, the ledger and the outbox stay the size
// of one filling.
func TestPurgeLeavesNoBloat(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	session := o.session("a", all)
	const batches, size = 20, 200
	var once int64
	for round := range 8 {
		var closings []relay.Closing
		for range batches {
			closings = append(closings, relay.Closing{Attempt: o.decided(session, o.insert(size)...).ID, All: true})
		}
		o.write(session, closings)
		o.exec(`UPDATE outbox_attempt SET closed_at = closed_at - interval '8 days'`)
		for {
			n, err := o.Purge(t.Context(), 7*24*time.Hour, 25)
			require.NoError(t, err)
			if n == 0 {
				break
			}
		}
		o.exec(`VACUUM outbox`)
		o.exec(`VACUUM outbox_attempt`)
		total := query1[int64](o, `SELECT pg_total_relation_size('outbox') + pg_total_relation_size('outbox_attempt')`)
		if round == 0 {
			once = total
		}
		// An autovacuum's snapshot may keep one filling's rows a little longer. Without any reuse it would be eight.
		require.LessOrEqual(t, total, once*5/2, "round %d", round)
	}
	require.Empty(t, o.pending())
	require.Zero(t, query1[int](o, `SELECT count(*) FROM outbox_attempt`))
}
