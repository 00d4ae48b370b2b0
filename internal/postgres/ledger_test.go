package postgres_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/relay"
)

func TestDecideThenSettle(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	session := o.session("a", all)
	ids := o.insert(3)
	a := o.decided(session, ids...)
	require.Equal(t, ids, o.pending(), "rows stay until the broker has confirmed them")
	require.Empty(t, o.sent())

	w := o.write(session, []relay.Closing{{Attempt: a.ID, All: true}})
	require.Equal(t, []relay.Closed{{}}, w.Closed)
	require.Empty(t, o.pending())
	require.Equal(t, ids, o.sent())
	require.Equal(t, session, query1[uuid.UUID](o, `SELECT closed_by FROM outbox_attempt`))
	require.WithinDuration(t, time.Now(), query1[time.Time](o, `SELECT closed_at FROM outbox_attempt`), time.Minute)
}
