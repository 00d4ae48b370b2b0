package postgres_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/relay"
)

func (o *outbox) expire(sessions ...uuid.UUID) {
	o.t.Helper()
	o.exec(`UPDATE outbox_lease SET expires_at = clock_timestamp() - interval '1 ms' WHERE session = ANY ($1)`, sessions)
}

func (o *outbox) sessions() []uuid.UUID {
	o.t.Helper()
	return column[uuid.UUID](o, `SELECT session FROM outbox_lease ORDER BY started_at`)
}

func TestOpenSession(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	other := o.session("other", 0)
	s := relay.Session{ID: uuid.New(), Instance: "pod-1", ClientID: "10.0.0.1@77", Version: "1.2.3"}
	require.NoError(t, o.OpenSession(t.Context(), s, lease))
	leases, err := o.Leases(t.Context())
	require.NoError(t, err)
	require.Len(t, leases, 2)
	require.Equal(t, other, leases[0].Session)
	got := leases[1]
	named := relay.Session{ID: got.Session, Instance: got.Instance, ClientID: got.ClientID, Version: got.Version}
	require.Equal(t, s, named)
	require.Zero(t, got.Shards)
	require.InDelta(t, lease.Seconds(), got.Left.Seconds(), 5)
	require.WithinDuration(t, time.Now(), got.Started, time.Minute)
	require.Equal(t, got.Started, got.Renewed)

	require.ErrorContains(t, o.OpenSession(t.Context(), relay.Session{ID: uuid.New()}, lease), "no name")
	require.NoError(t, o.OpenSession(t.Context(), s, lease), "its answer may have been lost")
	require.Len(t, o.sessions(), 2)
}

func TestOpenSessionDeclaresOthersDead(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	alive, before, expired := o.session("alive", 1), o.session("pod-1", 2), o.session("expired", 4)
	o.expire(expired)
	s := o.session("pod-1", 0)
	require.Equal(t, []uuid.UUID{alive, s}, o.sessions())
	err := o.RenewSession(t.Context(), before, lease)
	require.ErrorIs(t, err, relay.ErrSessionOver)
	owned, err := o.TakeShards(t.Context(), s, all)
	require.NoError(t, err)
	require.Equal(t, all&^1, owned)
}

// The expiry is compared again after the wait: a lease that was renewed in the meantime stands.
func TestOpenSessionLooksAgainAfterWaiting(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	late := o.session("late", 1)
	o.expire(late)
	renewing, err := o.admin.Begin(t.Context())
	require.NoError(t, err)
	defer renewing.Rollback(t.Context()) //nolint:errcheck // committed below
	_, err = renewing.Exec(t.Context(), `UPDATE outbox_lease SET expires_at = clock_timestamp() + interval '10 s'`)
	require.NoError(t, err)
	next := uuid.New()
	opened := doing(t, func() error {
		return o.OpenSession(t.Context(), relay.Session{ID: next, Instance: "next"}, lease)
	})
	o.waiting(1)
	require.NoError(t, renewing.Commit(t.Context()))
	opened()
	require.Equal(t, []uuid.UUID{late, next}, o.sessions())
}

func TestRenewSession(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	a := o.session("a", 1|1<<63)
	b := o.session("b", 2)
	require.NoError(t, o.RenewSession(t.Context(), a, lease))
	o.expire(a, b)
	require.NoError(t, o.RenewSession(t.Context(), a, 3*time.Minute), "a lease that has expired but stands may be renewed")
	require.Equal(t, []uuid.UUID{a}, o.sessions())
	leases, err := o.Leases(t.Context())
	require.NoError(t, err)
	require.InDelta(t, 180, leases[0].Left.Seconds(), 5)
	require.Equal(t, uint64(1|1<<63), leases[0].Shards)

	require.ErrorIs(t, o.RenewSession(t.Context(), b, lease), relay.ErrSessionOver)
	require.Equal(t, []uuid.UUID{a}, o.sessions(), "an expired session of another instance is declared dead, and renewing does not bring a session back")
}

// Two relays that wake up late together each renew their own lease while they want to delete the other's. Neither may wait.
func TestRenewSessionSkipsLockedLeases(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	a, b := o.session("a", 1), o.session("b", 2)
	o.expire(a, b)
	renewing, err := o.admin.Begin(t.Context())
	require.NoError(t, err)
	defer renewing.Rollback(t.Context()) //nolint:errcheck // rolled back below
	_, err = renewing.Exec(t.Context(), `UPDATE outbox_lease SET renewed_at = now() WHERE session = $1`, b)
	require.NoError(t, err)
	require.NoError(t, o.RenewSession(t.Context(), a, lease))
	require.NoError(t, renewing.Rollback(t.Context()))
	require.Equal(t, []uuid.UUID{a, b}, o.sessions())
}

func TestCloseSession(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	a, b := o.session("a", 1), o.session("b", 2)
	require.NoError(t, o.CloseSession(t.Context(), a))
	require.NoError(t, o.CloseSession(t.Context(), a), "twice is once")
	require.Equal(t, []uuid.UUID{b}, o.sessions())
	st, err := o.Standing(t.Context(), b)
	require.NoError(t, err)
	require.Equal(t, all&^2, st.Free)
}
