package postgres_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/relay"
)

func TestBacklog(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	read := func(limit int) relay.Backlog {
		t.Helper()
		b, err := o.Backlog(t.Context(), limit, nil)
		require.NoError(t, err)
		return b
	}
	require.Equal(t, relay.Backlog{}, read(100))

	session := o.session("a", all)
	_, err := o.BindTopic(t.Context(), relay.Topic{Name: "orders", Type: "transaction", Delivery: "exactly_once", OnDead: "block"})
	require.NoError(t, err)
	ids := o.insert(10)
	o.exec(`UPDATE outbox SET topic = 'nobody' WHERE id IN ($1, $2)`, ids[8], ids[9])
	o.exec(`UPDATE outbox SET created_at = now() - interval '1 h' WHERE id = $1`, ids[1])
	require.NoError(t, o.PutOff(t.Context(), session, []relay.Failure{{Row: ids[7], Delay: time.Hour}}))
	require.NoError(t, o.Bury(t.Context(), session, []relay.Failure{{Row: ids[0], Reason: relay.ReasonBodyEmpty}}))
	a := o.decided(session, ids[1:4]...)
	o.decided(session, ids[4:6]...)
	o.write(session, []relay.Closing{{Attempt: a.ID, Struck: []int{1}}})
	o.exec(`UPDATE outbox_attempt SET decided_at = now() - interval '2 h' WHERE id = $1`, a.ID[:])

	b := read(100)
	require.InDelta(t, time.Hour.Seconds(), b.Oldest.Seconds(), 60)
	require.InDelta(t, 2*time.Hour.Seconds(), b.OpenAge.Seconds(), 60)
	b.Oldest, b.OpenAge = 0, 0
	require.Equal(t, relay.Backlog{Rows: 9, PutOff: 1, Unbound: 2, UnboundTopics: []string{"nobody"}, Dead: 1, OpenCount: 4}, b)
	require.Equal(t, int64(3), read(3).Rows, "capped")
	for _, topics := range [][]string{{}, {"others"}, {"nobody"}} {
		b, err := o.Backlog(t.Context(), 100, topics)
		require.NoError(t, err)
		require.Equal(t, int64(9), b.Unbound, "what this relay has not bound counts, whoever has: %v", topics)
	}
	b, err = o.Backlog(t.Context(), 100, []string{"orders", "nobody"})
	require.NoError(t, err)
	require.Equal(t, int64(2), b.Unbound, "and what nobody has")
}

func TestBacklogOfTheFuture(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	o.insert(1)
	o.exec(`UPDATE outbox SET created_at = now() + interval '1 h'`)
	b, err := o.Backlog(t.Context(), 10, nil)
	require.NoError(t, err)
	require.Zero(t, b.Oldest)
}
