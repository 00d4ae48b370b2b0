package model

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// drawState draws a state of the kind that the explorer keeps, reachable or not.
func drawState(t *rapid.T, c *Config) State {
	n := func(limit int) uint8 { return uint8(rapid.IntRange(0, limit).Draw(t, "n")) }
	yes := func() bool { return rapid.Bool().Draw(t, "yes") }
	var s State
	for r := range c.Rows {
		s.Rows[r] = Row{Table(n(3)), n(1)}
		for k := range c.Slots {
			s.Attempts[r][k] = Attempt{yes(), n(2), yes(), yes(), Copy(n(2)), Entry(n(3)), n(c.Relays)}
		}
	}
	for i := range c.Relays {
		s.Leases[i] = Lease{yes(), yes()}
		s.Relays[i].Phase = Phase(n(int(GiveAsked)))
		for r := range c.Rows {
			p := Progress{Stage: Stage(n(int(KnownGone))), Saw: yes(), Holds: yes(), Cut: yes()}
			if p.Stage.attempt() {
				p.Slot = n(c.Slots - 1)
			}
			s.Relays[i].Rows[r] = p
		}
	}
	for at := range s.Late {
		s.Late[at] = Request{Kind(n(int(LateGive))), n(c.Relays - 1), n(c.Rows - 1), n(c.Slots - 1)}
		if s.Late[at].Kind == NoRequest {
			s.Late[at] = Request{}
		}
	}
	return s
}

// What is packed loses nothing but the names of relays and slots: a state taken out again packs as before, and means the same
// however it is named.
func TestPackingLosesOnlyNames(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := rapid.SampledFrom(append(append(Small(), Large()...), Largest())).Draw(t, "config")
		s := drawState(t, &c)
		p := c.pack(&s)
		again := c.unpack(p)
		require.Equal(t, p, c.pack(&again))
		require.Equal(t, c.violations(&s), c.violations(&again))
		require.Equal(t, c.done(&s), c.done(&again))
		if c.Relays == 2 {
			swapped := s
			swapped.swapRelays()
			require.Equal(t, p, c.pack(&swapped))
			swapped.swapRelays()
			require.Equal(t, s, swapped)
		}
	})
}

// The other way round: with one relay and one slot there are no names, and the packing is the state.
func TestPackingIsTheState(t *testing.T) {
	t.Parallel()
	c := Config{Rows: 2, Relays: 1, Slots: 1}
	rapid.Check(t, func(t *rapid.T) {
		s := drawState(t, &c)
		again := c.unpack(c.pack(&s))
		s.Late, again.Late = sortedLate(s), sortedLate(again)
		require.Equal(t, s, again)
	})
}

func sortedLate(s State) [maxLate]Request {
	if s.Late[0].pack() < s.Late[1].pack() {
		s.Late[0], s.Late[1] = s.Late[1], s.Late[0]
	}
	return s.Late
}

func TestSetKeepsWhatItIsGiven(t *testing.T) {
	t.Parallel()
	s := newSet()
	const n = 100_000 // grows a few times
	for i := range uint64(n) {
		number, isNew := s.add(packed{i % 7, i / 7, i * i})
		require.True(t, isNew)
		require.EqualValues(t, i, number)
	}
	for i := range uint64(n) {
		number, isNew := s.add(packed{i % 7, i / 7, i * i})
		require.False(t, isNew)
		require.EqualValues(t, i, number)
	}
}
