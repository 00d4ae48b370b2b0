package model

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// The protocol as it is: no fault at any step makes it break its promise, and it never gets stuck. `make model` explores more.
func TestEveryRuleInForce(t *testing.T) {
	t.Parallel()
	for _, c := range Small() {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			r, err := Explore(t.Context(), c)
			require.NoError(t, err)
			t.Logf("%d states, %d transitions", r.States, r.Transitions)
			require.Equal(t, "safe and live", r.Verdict(), "%v", r.Trace)
			require.Greater(t, r.States, 1000, "an exploration that goes nowhere proves nothing")
		})
	}
}

// Attempts are not bounded by the room that a state has for them: with less of it nothing is missing.
func TestThereIsRoomForEveryAttempt(t *testing.T) {
	t.Parallel()
	for _, c := range Small()[:3] {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			three, err := Explore(t.Context(), c)
			require.NoError(t, err)
			c.Slots = 2
			two, err := Explore(t.Context(), c)
			require.NoError(t, err)
			require.Equal(t, three.States, two.States)
			require.Equal(t, three.Transitions, two.Transitions)
		})
	}
}

// No rule is idle: without it the explorer finds what it is there to prevent.
func TestARuleRemoved(t *testing.T) {
	t.Parallel()
	for _, rule := range Rules() {
		if rule.Breaks == 0 {
			continue
		}
		t.Run(rule.Name, func(t *testing.T) {
			t.Parallel()
			c, r, err := Remove(t.Context(), rule.Rule, Small())
			require.NoError(t, err)
			require.Equal(t, rule.Breaks, r.Broken, "%s: %s", c.Name, r.Verdict())
			t.Logf("%s: %s", c.Name, r.Verdict())
			requireReplay(t, c.Without(rule.Rule), r)
		})
	}
}

// Two rules are a second line: alone, nobody misses them. That is said here, so that a change of it is noticed.
func TestARuleThatNobodyMisses(t *testing.T) {
	t.Parallel()
	for _, rule := range Rules() {
		if rule.Breaks != 0 {
			continue
		}
		require.NotEmpty(t, rule.Note, rule.Name)
		for _, c := range Small() {
			if c.Relays*c.Rows > 1 { // `make model` has the time
				continue
			}
			t.Run(rule.Name+"/"+c.Name, func(t *testing.T) {
				t.Parallel()
				r, err := Explore(t.Context(), c.Without(rule.Rule))
				require.NoError(t, err)
				require.Zero(t, r.Broken, "%v", r.Trace)
			})
		}
	}
}

// requireReplay makes sure that a counter-example is one: each of its steps can follow the one before, and the last is wrong.
func requireReplay(t *testing.T, c Config, r Result) {
	t.Helper()
	g := generator{Config: &c}
	var s State
	for i, step := range r.Trace {
		var then *State
		for _, next := range g.next(&s) {
			if next.Step == step && (c.violations(&next.State) != 0) == (i == len(r.Trace)-1) {
				then = &next.State
			}
		}
		require.NotNil(t, then, "step %d: %s", i+1, step)
		s = *then
	}
	require.Equal(t, r.Broken, c.violations(&s))
}

// A broken promise is not a matter of words: let pass, it becomes a second message.
func TestABrokenPromiseBecomesADuplicate(t *testing.T) {
	t.Parallel()
	for _, rule := range Rules() {
		if rule.Breaks != BrokenPromise {
			continue
		}
		t.Run(rule.Name, func(t *testing.T) {
			t.Parallel()
			c := Small()[0].Without(rule.Rule)
			c.Ignore = BrokenPromise
			r, err := Explore(t.Context(), c)
			require.NoError(t, err)
			require.Equal(t, Duplicate, r.Broken)
		})
	}
}

// A model in which nobody is ever needed again would be live for nothing: where the window never ends, a lost answer leaves
// its row in doubt for good, and the explorer says so.
func TestStuckIsNoticed(t *testing.T) {
	t.Parallel()
	x := &explorer{Config: Small()[0], seen: newSet()}
	x.generator.Config = &x.Config
	x.seen.add(x.pack(&State{}))
	x.parents = append(x.parents, 0)
	_, _, err := x.visit(t.Context())
	require.NoError(t, err)
	_, found := x.stuck()
	require.False(t, found)

	expired := make([]bool, len(x.seen.states)) // states behind the end of a window count as unreachable
	for n, p := range x.seen.states {
		s := x.unpack(p)
		for k := range x.Slots {
			expired[n] = expired[n] || s.Attempts[0][k].Expired
		}
	}
	for n := range x.seen.states {
		for at := x.first[n]; at < x.first[n+1]; at++ {
			if expired[x.edges[at]] && !expired[n] {
				x.edges[at] = uint32(n)
			}
		}
	}
	at, found := x.stuck()
	require.True(t, found)
	require.False(t, expired[at])
	steps := x.trace(at, false)
	require.NotEmpty(t, steps)
	t.Log(steps)
}
