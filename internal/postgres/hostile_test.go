package postgres

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/relay"
)

// FuzzQueueList holds that a list of queues that is taken is written as it was.
func FuzzQueueList(f *testing.F) {
	for _, text := range []string{"broker-a:0", "a:b:7", ":1", "a:", "a:-1", "a:2147483648", "a:+1", "a:01", ""} {
		f.Add(text, "b:1")
	}
	f.Fuzz(func(t *testing.T, one, two string) {
		queues, err := ParseQueues([]string{one, two})
		if err != nil {
			return
		}
		require.Len(t, queues, 2)
		again, err := ParseQueues(FormatQueues(queues))
		require.NoError(t, err)
		require.Equal(t, queues, again)
	})
}

// numbers cuts arrays of numbers off what a fuzzer says, each with its length before it.
type numbers []byte

func (n *numbers) next() int64 {
	if len(*n) < 2 {
		*n = nil
		return 0
	}
	v := int64(int16(binary.BigEndian.Uint16(*n)))
	*n = (*n)[2:]
	return v
}

func array[T int16 | int32 | int64](n *numbers) []T {
	length := n.next() % 8
	if length < 0 {
		return nil
	}
	values := make([]T, length)
	for i := range values {
		values[i] = T(n.next())
	}
	return values
}

func texts(n *numbers) []string {
	var all []string
	for _, v := range array[int16](n) {
		all = append(all, string(rune(v)))
	}
	return all
}

// FuzzLedgerRow reads a ledger row that somebody else wrote. What is taken of it can be written again, and is the same then.
func FuzzLedgerRow(f *testing.F) {
	f.Add([]byte{0, 1, 0, 0x61, 0, 1, 0, 3, 0, 1, 0, 77, 0, 1, 0, 5, 0, 1, 0, 1, 0xff, 0xff, 0, 1, 0, 9, 0, 1, 1, 0, 0, 1, 2, 0})
	f.Add([]byte{0, 0, 0, 1})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, says []byte) {
		n := numbers(says)
		l := ledgerArrays{
			topics: texts(&n), queues: array[int32](&n), readFrom: array[int64](&n), ids: array[int64](&n), targets: array[int16](&n),
			indexes: array[int16](&n), shard: array[int16](&n), halfOffsets: array[int64](&n), logOffsets: array[int64](&n),
			orderingKeys: texts(&n), dedupKeys: texts(&n),
		}
		targets, err := l.attemptTargets()
		if err != nil {
			return
		}
		a := relay.Attempt{Way: relay.WayHalf, Targets: targets}
		for i := range l.ids {
			entry, err := l.entry(i)
			if err != nil {
				return
			}
			a.Entries = append(a.Entries, entry)
		}
		if len(a.Entries) == 0 {
			return
		}
		again, err := newLedgerArrays(&a)
		require.NoError(t, err)
		for i := range a.Entries {
			entry, err := again.entry(i)
			require.NoError(t, err)
			require.Equal(t, a.Entries[i], entry)
		}
	})
}

// FuzzMove closes entries of a ledger row that somebody else wrote: an entry is moved once, and no row is deleted but that of
// an entry that was open.
func FuzzMove(f *testing.F) {
	f.Add(false, []byte{0, 3, 0, 1, 0, 2, 0, 3, 0, 1, 0, 0, 0, 1, 0, 1, 0, 1, 0, 0, 0, 0}, true)
	f.Add(true, []byte{}, false)
	f.Fuzz(func(t *testing.T, closed bool, says []byte, all bool) {
		n := numbers(says)
		l := ledgerState{closed: closed, ids: array[int64](&n), open: array[int16](&n), struck: array[int16](&n)}
		c := relay.Closing{All: all}
		for _, i := range array[int16](&n) {
			c.Settled = append(c.Settled, int(i))
		}
		for _, i := range array[int16](&n) {
			c.Struck = append(c.Struck, int(i))
		}
		m, err := l.move(c)
		if err != nil {
			return
		}
		require.LessOrEqual(t, len(m.delete)+len(m.open), len(l.ids))
		if closed && len(l.open) == 0 {
			require.Empty(t, m.delete, "nothing was open")
			require.False(t, m.changed)
		}
	})
}
