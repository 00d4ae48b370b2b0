package model

import (
	"context"
	"fmt"
	"time"
)

// A Result is what came of an exploration.
type Result struct {
	States      int
	Transitions int
	Took        time.Duration
	Broken      Kinds  // 0: the configuration is safe, and the end can be reached from everywhere
	Trace       []Step // the shortest way to what is wrong
}

// Verdict says the result in words.
func (r Result) Verdict() string {
	if r.Broken == 0 {
		return "safe and live"
	}
	return fmt.Sprintf("%s after %d steps", r.Broken, len(r.Trace))
}

// An explorer visits every state, nearest first.
type explorer struct {
	Config
	generator generator
	seen      *set
	parents   []uint32
	edges     []uint32 // fault-free transitions, state after state
	first     []int    // of each state's edges
	counted   int
}

// Explore visits every state that the configuration can reach, or stops at the first that is wrong.
func Explore(ctx context.Context, c Config) (Result, error) {
	began := time.Now()
	x := &explorer{Config: c, seen: newSet()}
	x.generator.Config = &x.Config
	x.seen.add(x.pack(&State{}))
	x.parents = append(x.parents, 0)
	wrong, at, err := x.visit(ctx)
	if err != nil {
		return Result{}, fmt.Errorf("explore %s: %w", c.Name, err)
	}
	r := Result{States: len(x.seen.states), Transitions: x.counted, Broken: wrong}
	if wrong == 0 {
		if stuck, found := x.stuck(); found {
			r.Broken, at = Stuck, stuck
		}
	}
	if r.Broken != 0 {
		r.Trace = x.trace(at, wrong != 0)
	}
	r.Took = time.Since(began)
	return r, nil
}

// visit returns what is wrong with a state that can follow the one at, 0 if nothing ever is.
func (x *explorer) visit(ctx context.Context) (wrong Kinds, at uint32, err error) {
	for n := 0; n < len(x.seen.states); n++ {
		if n%4096 == 0 && ctx.Err() != nil {
			return 0, 0, ctx.Err()
		}
		x.first = append(x.first, len(x.edges))
		s := x.unpack(x.seen.states[n])
		for _, next := range x.generator.next(&s) {
			x.counted++
			if wrong := x.violations(&next.State); wrong != 0 {
				return wrong, uint32(n), nil
			}
			number, isNew := x.seen.add(x.pack(&next.State))
			if isNew {
				x.parents = append(x.parents, uint32(n))
			}
			if !next.Step.fault() && number != uint32(n) {
				x.edges = append(x.edges, number)
			}
		}
	}
	x.first = append(x.first, len(x.edges))
	return 0, 0, nil
}

// stuck returns the first state from which no fault-free way leads to the end. The ways are found backwards, by going over
// the states until no more of them are good.
func (x *explorer) stuck() (uint32, bool) {
	good := make([]bool, len(x.seen.states))
	for n, p := range x.seen.states {
		s := x.unpack(p)
		good[n] = x.done(&s)
	}
	for more := true; more; {
		more = false
		for n := len(good) - 1; n >= 0; n-- {
			for at := x.first[n]; !good[n] && at < x.first[n+1]; at++ {
				good[n] = good[x.edges[at]]
				more = more || good[n]
			}
		}
	}
	for n, ok := range good {
		if !ok {
			return uint32(n), true
		}
	}
	return 0, false
}
