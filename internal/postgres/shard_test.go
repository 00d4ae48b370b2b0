package postgres_test

import (
	"errors"
	"math/bits"
	"math/rand/v2"
	"slices"
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
	err := o.RenewSession(t.Context(), a, lease)
	require.NoError(t, err)
	take(a, 1<<63, 0b1111|1<<63)
	take(a, all, all)
	_, err = o.TakeShards(t.Context(), b, 1)
	require.ErrorIs(t, err, relay.ErrSessionOver)
}

func TestStanding(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	a, b, late := o.session("a", 0b1011), o.session("b", 1<<63|1<<62), o.session("late", 1<<40)
	st, err := o.Standing(t.Context(), a)
	require.NoError(t, err)
	slices.Sort(st.Others)
	require.Equal(t, relay.Standing{Owned: 0b1011, Free: all &^ (0b1011 | 1<<63 | 1<<62 | 1<<40), Others: []int{1, 2}}, st)
	o.expire(late)
	st, err = o.Standing(t.Context(), b)
	require.NoError(t, err)
	require.Equal(t, relay.Standing{
		Owned: 1<<63 | 1<<62, Free: all &^ (0b1011 | 1<<63 | 1<<62 | 1<<40), Others: []int{3}, Expired: true,
	}, st, "an expired lease holds its shards, and has no share")
	_, err = o.Standing(t.Context(), uuid.New())
	require.ErrorIs(t, err, relay.ErrSessionOver)
}

func TestGiveShards(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	a, b := o.session("a", 0b1111), o.session("b", 0)
	require.NoError(t, o.GiveShards(t.Context(), a, 0b1010|1<<63), "what is not its own does not change")
	owned, err := o.TakeShards(t.Context(), b, all)
	require.NoError(t, err)
	require.Equal(t, all&^0b0101, owned)
	require.NoError(t, o.CloseSession(t.Context(), a))
	require.ErrorIs(t, o.GiveShards(t.Context(), a, 1), relay.ErrSessionOver)
}

// A session that has given a shard up decides nothing of it, and everything else.
func TestDecisionNeedsTheShards(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	a := o.session("a", all)
	ids := o.insert(2)
	attempts := []*relay.Attempt{o.attempt(ids[0]), o.attempt(ids[1])}
	require.NotEqual(t, attempts[0].Entries[0].Shard, attempts[1].Entries[0].Shard)
	require.NoError(t, o.GiveShards(t.Context(), a, 1<<attempts[0].Entries[0].Shard))
	w := o.write(a, nil, attempts...)
	require.Equal(t, []relay.Decision{relay.DecisionNoLease, relay.DecisionMade}, w.Decided)
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
					err := store.RenewSession(t.Context(), session.ID, time.Duration(random.IntN(300))*time.Millisecond)
					if errors.Is(err, relay.ErrSessionOver) {
						break
					}
					require.NoError(t, err)
					st, err := store.Standing(t.Context(), session.ID)
					if errors.Is(err, relay.ErrSessionOver) {
						break
					}
					require.NoError(t, err)
					require.Equal(t, mine, st.Owned)
					if random.IntN(3) == 0 {
						give := mine & random.Uint64()
						if err := store.GiveShards(t.Context(), session.ID, give); errors.Is(err, relay.ErrSessionOver) {
							break
						}
						mine &^= give
					}
					owned, err := store.TakeShards(t.Context(), session.ID, st.Free&random.Uint64()|1<<random.IntN(64))
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
