package model

import "strings"

// Kinds is a set of what can be wrong with a state.
type Kinds uint8

// What must never be.
const (
	Duplicate      Kinds = 1 << iota // two copies of a row are on the topic
	Lost                             // a row was deleted without a copy
	DeadAndVisible                   // a row is in the dead letters and on the topic
	OutOfOrder                       // the second row of a key is on the topic before the first
	BrokenPromise                    // a message was confirmed whose entry had been struck: its row was pending again
	Stuck                            // the end cannot be reached without another fault
)

// String names the kinds.
func (k Kinds) String() string {
	var names []string
	for i, name := range []string{"duplicate", "lost row", "dead and visible", "out of order", "broken promise", "stuck"} {
		if k>>i&1 == 1 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// violations returns what is wrong with a state, as far as the state alone tells.
func (c *Config) violations(s *State) Kinds {
	var k Kinds
	for r := range c.Rows {
		row := s.Rows[r]
		if row.Copies > 1 {
			k |= Duplicate
		}
		if row.Copies == 0 && row.Table == Gone {
			k |= Lost
		}
		if row.Copies > 0 && row.Table == Dead {
			k |= DeadAndVisible
		}
		if r > 0 && row.Copies > 0 && s.Rows[r-1].Copies == 0 {
			k |= OutOfOrder
		}
	}
	if s.Broken {
		k |= BrokenPromise
	}
	return k &^ c.Ignore
}

// done reports whether nothing is left to do: every row is settled, or dead, or waits behind a dead row of its key, which is
// for people to decide.
func (c *Config) done(s *State) bool {
	for r := range c.Rows {
		waits := r > 0 && s.Rows[r-1].Table == Dead
		if s.Rows[r].exists() && !waits {
			return false
		}
	}
	return true
}
