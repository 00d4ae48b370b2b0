package relay

import (
	"math/bits"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Whatever the division is at the beginning, and in whatever order the sessions look, it becomes even, and then nobody moves
// a shard any more.
func TestSharesBecomeEvenAndStayThere(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 70).Draw(t, "sessions")
		owned := make([]uint64, n)
		for bit := range shardCount {
			if holder := rapid.IntRange(-1, n-1).Draw(t, "holder"); holder >= 0 {
				owned[holder] |= 1 << bit
			}
		}
		standing := func(i int) Standing {
			st := Standing{Owned: owned[i], Free: ^uint64(0)}
			for j, o := range owned {
				st.Free &^= o
				if j != i {
					st.Others = append(st.Others, bits.OnesCount64(o))
				}
			}
			return st
		}
		move := func(i int) bool {
			st := standing(i)
			take, give := st.share()
			owned[i] |= pick(st.Free, take, byte(i))
			owned[i] &^= pick(st.Owned, give, byte(i))
			return take+give > 0
		}
		for range 40 * n {
			move(rapid.IntRange(0, n-1).Draw(t, "who looks"))
		}
		for range 4 { // everybody has looked
			for i := range n {
				move(i)
			}
		}
		var all uint64
		for i, o := range owned {
			least, most := standing(i).even()
			if got := bits.OnesCount64(o); got < least || got > most {
				t.Fatalf("session %d of %d has %d shards, not %d to %d", i, n, got, least, most)
			}
			if all&o != 0 {
				t.Fatalf("a shard is owned twice")
			}
			all |= o
			if move(i) {
				t.Fatalf("session %d of %d moves a shard though all is even", i, n)
			}
		}
		if ^all != 0 {
			t.Fatalf("shards %x are nobody's", ^all)
		}
	})
}

func TestPick(t *testing.T) {
	t.Parallel()
	assert.EqualValues(t, 0b0110, pick(0b1110, 2, 0))
	assert.EqualValues(t, 0b1100, pick(0b1110, 2, 2))
	assert.EqualValues(t, 0b0010, pick(0b0010, 5, 200))
	assert.Zero(t, pick(0b1110, 0, 0))
}

func TestAloneOneOwnsEverything(t *testing.T) {
	t.Parallel()
	take, give := Standing{Free: ^uint64(0)}.share()
	assert.Equal(t, [2]int{64, 0}, [2]int{take, give})
	take, give = Standing{Owned: ^uint64(0)}.share()
	assert.Equal(t, [2]int{0, 0}, [2]int{take, give})
}

func TestLeasesThatHaveExpiredAreBuriedAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newcomer(t)
		began := time.Now()
		b.db.standing = func() (Standing, error) {
			return Standing{Owned: 1, Expired: time.Since(began) > 5*time.Second && b.db.count("RenewSession") == 0}, nil
		}
		done := make(chan error)
		go func() { done <- b.share(b.work) }()
		time.Sleep(10 * time.Second)
		b.end(errStopped)
		require.NoError(t, <-done)
		assert.Equal(t, 1, b.db.count("RenewSession"))
	})
}

// Nothing of a shard may be under way any more when Postgres is told that it is nobody's.
func TestShardsAreGivenUpWhenNothingOfThemIsUnderWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newcomer(t)
		b.unresolved()
		b.intake.own(0b11, nil, nil)
		b.loaded = 0b11
		b.shardsNow()
		kept, given := shardRow(5, "kept", 0), shardRow(6, "given", 1)
		for _, row := range []*Row{kept, given} {
			require.True(t, b.intake.admit(row))
		}
		under := newBatch(b.session, batchKey{broker: "b", way: WayHalf})
		b.intake.take(under.add(given, Queue{Broker: "b"}))
		b.underway.add(under)
		for _, o := range []*doubt{{row: 7, key: Key{"t", "doubt"}, shard: 1, broker: "b"}, {row: 8, key: Key{"t", "other"}, shard: 0, broker: "b"}} {
			b.intake.own(0, nil, []*doubt{o})
			b.resolver.add(o)
		}
		b.intake.hold(shardRow(9, "dead", 1), true)
		done := make(chan error, 1)
		go func() { done <- b.giveShards(b.work, 0b10) }()
		synctest.Wait()
		assert.EqualValues(t, 0b01, b.shardsNow(), "its rows are not read any more")
		assert.Zero(t, b.db.count("GiveShards"), "a batch is under way")

		require.True(t, b.reading.enter(b.work))
		under.pass()
		b.intake.gone(under.items...)
		b.underway.remove(under)
		b.reading.leave()
		require.NoError(t, <-done)
		assert.Equal(t, 1, b.db.count("GiveShards"))
		assert.EqualValues(t, 0b01, b.State().Shards)
		assert.Len(t, b.doubts("b"), 1, "the other shard's doubt")

		b.shardsNow()
		assert.Equal(t, map[int64]int16{8: 0}, b.intake.inFlight)
		assert.NotContains(t, b.intake.blocks, Key{"t", "dead"})
		assert.NotContains(t, b.intake.blocks, Key{"t", "doubt"})
		assert.Contains(t, b.intake.blocks, Key{"t", "other"})
	})
}

func TestShardsThatComeBackAreLoadedAnew(t *testing.T) {
	t.Parallel()
	b := newcomer(t)
	require.NoError(t, b.takeShards(b.work, 0b11))
	require.NoError(t, b.giveShards(b.work, 0b10))
	b.db.owned = 0b01
	b.db.attempts = func(shards uint64) ([]OpenAttempt, error) {
		assert.EqualValues(t, 0b10, shards)
		return nil, nil
	}
	b.db.blocked = func(uint64) ([]BlockedKey, error) {
		return []BlockedKey{{Key: Key{"t", "k"}, Shard: 1, Row: 3, Dead: true}}, nil
	}
	require.NoError(t, b.takeShards(b.work, 0b10)) // before a read has begun in between
	assert.Equal(t, 2, b.db.count("OpenAttempts"))
	assert.EqualValues(t, 0b11, b.shardsNow())
	assert.False(t, b.intake.admit(shardRow(4, "k", 1)), "what was forgotten before is not what was loaded since")
}

// A doubt that is taken away in the middle of a round is not decided by it: the next owner may have begun to.
func TestDoubtsThatAreSurrenderedAreNotConcluded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, _ := watched(t)
		asked, answer := make(chan struct{}, 1), make(chan struct{})
		b.mq.lookup = func(string, string) (bool, error) {
			asked <- struct{}{}
			<-answer
			return true, nil
		}
		b.loaded = 1
		b.doubtful(1)
		<-asked
		require.NoError(t, b.giveShards(b.work, 1))
		close(answer)
		synctest.Wait()
		assert.Empty(t, b.db.closings())
	})
}

func shardRow(id int64, key string, shard int16) *Row {
	row := ordered(id, key)
	row.Shard = shard
	return row
}
