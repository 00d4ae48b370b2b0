package postgres_test

import (
	"errors"
	"math/bits"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/relay"
)

func TestTakeShards(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	a, b := o.session("a", 0), o.session("b", 0)
	take := func(session uuid.UUID, want, owns uint64) {
		t.Helper()
		owned, err := o.TakeShards(t.Context(), session, want)
		require.NoError(t, err)
		require.Equal(t, owns, owned)
	}
	take(a, 0, 0)
	take(a, 0b0111, 0b0111)
	take(a, 0b1000, 0b1111)
	take(b, 0b1_1000, 0b1_0000)
	take(b, all, all&^0b1111)
	take(a, all, 0b1111)

	o.expire(b)
	take(a, all, 0b1111) // an expired lease holds its shards until it is deleted
	_, err := o.RenewSession(t.Context(), a, lease)
	require.NoError(t, err)
	take(a, 1<<63, 0b1111|1<<63)
	take(a, all, all)
	_, err = o.TakeShards(t.Context(), b, 1)
	require.ErrorIs(t, err, relay.ErrSessionOver)
}

// A take that waits for the lock sees what was committed while it waited.
func TestTakeShardsLooksAfterWaiting(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	a, b := o.session("a", 0), o.session("b", 0)
	taking, err := o.admin.Begin(t.Context())
	require.NoError(t, err)
	defer taking.Rollback(t.Context()) //nolint:errcheck // committed below
	_, err = taking.Exec(t.Context(), `UPDATE outbox_lease SET shards = 6 WHERE session = $1`, a)
	require.NoError(t, err)
	taken := background(t, func() (uint64, error) { return o.TakeShards(t.Context(), b, 7) })
	o.waiting(1)
	require.NoError(t, taking.Commit(t.Context()))
	require.Equal(t, uint64(1), taken())
}

// Many relays come and go, take what they can get, expire and are replaced. No shard ever has two owners who could both
// decide, and in the end every shard can be had.
func TestShardsHaveOneOwner(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	const relays = 8
	deadline := time.Now().Add(4 * time.Second)
	check := func() {
		masks := column[int64](o, `SELECT shards FROM outbox_lease`)
		var seen uint64
		for _, m := range masks {
			require.Zero(t, seen&uint64(m), "a shard with two owners: %x", masks)
			seen |= uint64(m)
		}
	}
	var wg sync.WaitGroup
	for n := range relays {
		seed := uint64(time.Now().UnixNano()) + uint64(n)
		t.Logf("relay %d: seed %d", n, seed)
		random := rand.New(rand.NewPCG(seed, 0))
		store, instance := o.another(), string(rune('a'+n))
		wg.Go(func() {
			for time.Now().Before(deadline) {
				session := relay.Session{ID: uuid.New(), Instance: instance}
				require.NoError(t, store.OpenSession(t.Context(), session, 300*time.Millisecond))
				mine := uint64(0)
				for range 1 + random.IntN(12) {
					if random.IntN(8) == 0 {
						o.expire(session.ID) // frozen; another relay may declare it dead
					}
					free, err := store.RenewSession(t.Context(), session.ID, time.Duration(random.IntN(300))*time.Millisecond)
					if errors.Is(err, relay.ErrSessionOver) {
						break
					}
					require.NoError(t, err)
					owned, err := store.TakeShards(t.Context(), session.ID, free&random.Uint64()|1<<random.IntN(64))
					if errors.Is(err, relay.ErrSessionOver) {
						break
					}
					require.NoError(t, err)
					require.Equal(t, mine, mine&owned, "a shard was lost")
					mine = owned
				}
			}
		})
	}
	for time.Now().Before(deadline) {
		check()
	}
	wg.Wait()
	check()
	o.exec(`UPDATE outbox_lease SET expires_at = clock_timestamp() - interval '1 s'`)
	last := o.session("last", all)
	require.Equal(t, []uuid.UUID{last}, o.sessions())
	require.Equal(t, 64, bits.OnesCount64(all))
}
