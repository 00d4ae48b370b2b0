package postgres

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/outbox-relay/outbox-relay/internal/relay"
)

// Whatever closings come in whatever order, an entry changes once, exactly the rows of settled entries are deleted, each
// once, and a settle of a struck entry is always reported.
func TestMoveAgainstModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 8).Draw(t, "entries")
		state := ledgerState{}
		for i := range n {
			state.ids = append(state.ids, int64(100+i))
		}
		const open, settled, struck = 0, 1, 2
		model := make([]int, n)
		var deleted []int64
		positions := rapid.SliceOfN(rapid.IntRange(0, n-1), 0, n)
		for range rapid.IntRange(1, 6).Draw(t, "closings") {
			c := relay.Closing{All: rapid.Bool().Draw(t, "all")}
			if !c.All {
				c.Settled, c.Struck = positions.Draw(t, "settled"), positions.Draw(t, "struck")
			}
			m, err := state.move(c)
			require.NoError(t, err)
			var broken []int
			for i := range n {
				named := c.All || slices.Contains(c.Settled, i)
				switch {
				case named && model[i] == struck:
					broken = append(broken, i)
				case named && model[i] == open:
					model[i] = settled
				case slices.Contains(c.Struck, i) && model[i] == open:
					model[i] = struck
				}
			}
			require.Equal(t, broken, slices.Compact(slices.Sorted(slices.Values(m.broken))))
			deleted = append(deleted, m.delete...)
			if m.changed { // as sqlMoveEntries does
				state.open, state.struck, state.closed = m.open, m.struck, len(m.open) == 0
			}
			for i := range n {
				require.Equal(t, model[i] == open, !state.closed && (state.open == nil || slices.Contains(state.open, int16(i))))
				require.Equal(t, model[i] == struck, slices.Contains(state.struck, int16(i)))
				require.Equal(t, model[i] == settled, slices.Contains(deleted, int64(100+i)))
			}
		}
		require.Len(t, slices.Compact(slices.Sorted(slices.Values(deleted))), len(deleted), "a row is deleted once")
	})
}
