package model

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEveryActionHasWords(t *testing.T) {
	t.Parallel()
	require.Len(t, actions, int(answerLost)+1)
	seen := map[string]bool{}
	for a, info := range actions {
		require.NotEmpty(t, info.words, "action %d", a)
		require.False(t, seen[info.words], info.words)
		seen[info.words] = true
	}
	require.Equal(t, "relay B sends the commit of half 2c", Step{Action: commitSent, Relay: 1, Row: 1, Slot: 2}.String())
	require.Equal(t, "postgres: executes late what relay A had asked about half 1a (decide)", Step{Action: lateRun, Kind: LateDecide}.String())
}

// Every kind of transition takes place in one of the explorations: a model that forbids half of them is safe for nothing.
// Those that only a removed rule allows are named.
func TestEveryActionTakesPlace(t *testing.T) {
	t.Parallel()
	taken := map[Action]bool{began: true}
	for _, c := range []Config{Small()[2], {Rows: 2, Relays: 1, Slots: 2, Coarse: true}} {
		x := &explorer{Config: c, seen: newSet()}
		x.generator.Config = &x.Config
		x.seen.add(x.pack(&State{}))
		for n := 0; n < len(x.seen.states); n++ {
			s := x.unpack(x.seen.states[n])
			for _, next := range x.generator.next(&s) {
				taken[next.Step.Action] = true
				x.seen.add(x.pack(&next.State))
			}
		}
	}
	for _, only := range []Action{checkCommits, checkWritten, shardLoadedEarly, leaseLooked, committedAgain} {
		require.False(t, taken[only], actions[only].words)
		taken[only] = true
	}
	for a := range actions {
		require.True(t, taken[Action(a)], actions[a].words)
	}
}
