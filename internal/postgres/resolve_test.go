package postgres_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/postgres"
	"github.com/outbox-relay/outbox-relay/internal/relay"
)

// aged makes an attempt look as if it had been decided before.
func (o *outbox) aged(a *relay.Attempt, age time.Duration) *relay.Attempt {
	o.t.Helper()
	o.exec(`UPDATE outbox_attempt SET born_at = clock_timestamp() - $2::bigint * interval '1 microsecond',
		decided_at = clock_timestamp() - $2::bigint * interval '1 microsecond' WHERE id = $1`, a.ID[:], age.Microseconds())
	return a
}

const margin = 5 * time.Second

func (o *outbox) resolve(c relay.Closing) int {
	o.t.Helper()
	changed, err := o.Resolve(o.t.Context(), uuid.New(), c, margin)
	require.NoError(o.t, err)
	return changed
}

func TestOperatorsWordOnOpenEntries(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	session := o.session("a", all)
	ids := o.insert(4)
	a := o.aged(o.decided(session, ids...), time.Hour)

	entries, err := o.OpenEntries(t.Context())
	require.NoError(t, err)
	require.Len(t, entries, 4)
	e := entries[2]
	require.Equal(t, []any{a.ID, 2, ids[2], "orders", 3, "broker-a", true}, []any{e.Attempt, e.Position, e.Entry.Row, e.Target.Topic, e.Target.Queue, e.Broker, e.Alive})
	require.Equal(t, a.ID.UniqKey(2), e.UniqKey())
	require.InDelta(t, time.Hour, e.Age, float64(time.Minute))

	require.Equal(t, 1, o.resolve(relay.Closing{Attempt: a.ID, Settled: []int{0}}))
	require.Equal(t, 2, o.resolve(relay.Closing{Attempt: a.ID, Struck: []int{1, 2}}))
	require.Equal(t, ids[1:], o.pending())
	require.Equal(t, ids[:1], o.sent())

	// Whoever comes second changes nothing.
	require.Zero(t, o.resolve(relay.Closing{Attempt: a.ID, Struck: []int{0}}))
	require.Zero(t, o.resolve(relay.Closing{Attempt: a.ID, Settled: []int{1}}))
	w := o.write(session, []relay.Closing{{Attempt: a.ID, Settled: []int{1, 3}, Struck: []int{0}}})
	require.Equal(t, []int{1}, w.Closed[0].Broken, "the relay found a message that had been struck")
	require.Equal(t, ids[1:3], o.pending(), "the struck rows stay pending")
	require.Zero(t, o.resolve(relay.Closing{Attempt: a.ID, Struck: []int{3}}), "the relay was first")

	states, err := o.EntryStates(t.Context(), []relay.AttemptID{a.ID, {1}})
	require.NoError(t, err)
	require.Equal(t, relay.EntryStates{a.ID: {relay.EntrySettled, relay.EntryStruck, relay.EntryStruck, relay.EntrySettled}}, states)
	entries, err = o.OpenEntries(t.Context())
	require.NoError(t, err)
	require.Empty(t, entries)
	require.Zero(t, o.resolve(relay.Closing{Attempt: relay.AttemptID{1}, Struck: []int{0}}), "purged, and so closed")
}

func TestOperatorIsNotHeardBeforeTheWindowIsOver(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	session := o.session("a", all)
	ids := o.insert(2)
	fresh := o.decided(session, ids[0]) // born long ago by a wrong clock, decided now
	_, err := o.Resolve(t.Context(), uuid.New(), relay.Closing{Attempt: fresh.ID, Settled: []int{0}}, margin)
	require.ErrorIs(t, err, postgres.ErrTooEarly)
	require.ErrorContains(t, err, "for another 14.")
	early := o.aged(o.decided(session, ids[1]), 14*time.Second)
	_, err = o.Resolve(t.Context(), uuid.New(), relay.Closing{Attempt: early.ID, Struck: []int{0}}, margin)
	require.ErrorIs(t, err, postgres.ErrTooEarly)
	o.exec(`UPDATE outbox_attempt SET born_at = clock_timestamp() + interval '1 h' WHERE id = $1`, early.ID[:])
	_, err = o.Resolve(t.Context(), uuid.New(), relay.Closing{Attempt: early.ID, Struck: []int{0}}, 0)
	require.ErrorIs(t, err, postgres.ErrTooEarly, "the window runs from the relay's clock")
	require.Equal(t, ids, o.pending())

	states, err := o.EntryStates(t.Context(), []relay.AttemptID{fresh.ID, early.ID})
	require.NoError(t, err)
	require.Equal(t, relay.EntryStates{fresh.ID: {relay.EntryOpen}, early.ID: {relay.EntryOpen}}, states)
}

// The relay and the operator at the same instant: one waits for the other, and then finds it done.
func TestOperatorAndRelayAtTheSameTime(t *testing.T) {
	t.Parallel()
	for _, relayFirst := range []bool{true, false} {
		o := newOutbox(t)
		session := o.session("a", all)
		ids := o.insert(1)
		a := o.aged(o.decided(session, ids...), time.Hour)
		tx, err := o.admin.Begin(t.Context())
		require.NoError(t, err)
		_, err = tx.Exec(t.Context(), `SELECT FROM outbox_attempt WHERE id = $1 FOR UPDATE`, a.ID[:])
		require.NoError(t, err)
		settle := func() func() relay.Written {
			return o.writing(session, []relay.Closing{{Attempt: a.ID, Settled: []int{0}}})
		}
		strike := func() func() int {
			return background(t, func() (int, error) {
				return o.Resolve(t.Context(), uuid.New(), relay.Closing{Attempt: a.ID, Struck: []int{0}}, margin)
			})
		}
		var settled func() relay.Written
		var struck func() int
		if relayFirst {
			settled = settle()
			o.waiting(1)
			struck = strike()
		} else {
			struck = strike()
			o.waiting(1)
			settled = settle()
		}
		o.waiting(2)
		require.NoError(t, tx.Rollback(t.Context()))
		if relayFirst {
			require.Empty(t, settled().Closed[0].Broken)
			require.Zero(t, struck())
			require.Empty(t, o.pending())
		} else {
			require.Equal(t, 1, struck())
			require.Equal(t, []int{0}, settled().Closed[0].Broken)
			require.Equal(t, ids, o.pending())
		}
	}
}
