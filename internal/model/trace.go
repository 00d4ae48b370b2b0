package model

import "slices"

// trace returns the steps that lead to a state, and where something follows it that is wrong, that step too. The explorer
// knows states only up to the names of relays and slots; here they keep the names that they had at the beginning.
func (x *explorer) trace(to uint32, beyond bool) []Step {
	var way []packed
	for n := to; n != 0; n = x.parents[n] {
		way = append(way, x.seen.states[n])
	}
	slices.Reverse(way)
	var s State
	var steps []Step
	for _, p := range way {
		for _, next := range x.generator.next(&s) {
			if x.violations(&next.State) == 0 && x.pack(&next.State) == p {
				steps = append(steps, next.Step)
				s = next.State
				break
			}
		}
	}
	if beyond {
		for _, next := range x.generator.next(&s) {
			if x.violations(&next.State) != 0 {
				return append(steps, next.Step)
			}
		}
	}
	return steps
}
