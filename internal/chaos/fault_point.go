package chaos

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// The named points of the flow at which a relay can be made to kill itself. The harness shares no code with the relay; a
// test compares them with relay.Points.
const (
	pointRead         = "after read"
	pointHalf         = "after half"
	pointDecide       = "between decide and commit"
	pointCommitFirst  = "after the first commit answer"
	pointCommit       = "after the commits, before settle"
	pointSettling     = "inside settle"
	pointSettle       = "after settle"
	pointResolve      = "resolver, before its reading"
	pointResolveClose = "resolver, after its reading"
	pointTake         = "hand-over, shards taken, before what is open is loaded"
	pointRelease      = "hand-over, before shards are given up"
	pointCheck        = "in the checker"
)

// pointPatience is how long a relay is waited for to come to a point.
const pointPatience = 20 * time.Second

// A point is where to kill, and what must happen before so that a relay comes there.
type point struct {
	name string
	// before is a point at which the relays are killed first, because it leaves behind what the point needs.
	before string
	// join has another relay join, to which the first one gives shards.
	join bool
	// once: it is come to once in a life, or rarely.
	once bool
}

func points() []point {
	return []point{
		{name: pointRead},
		{name: pointHalf},
		{name: pointDecide},
		{name: pointCommitFirst},
		{name: pointCommit},
		{name: pointSettling},
		{name: pointSettle},
		{name: pointResolve, before: pointCommitFirst, once: true}, // an open attempt of a dead session
		{name: pointResolveClose, before: pointDecide, once: true},
		{name: pointTake, once: true},
		{name: pointRelease, join: true, once: true},
		{name: pointCheck, before: pointHalf, once: true}, // half messages that nobody finishes
	}
}

func pointKinds() []Kind {
	var kinds []Kind
	for _, p := range points() {
		kinds = append(kinds, Kind{
			Name: "relay: SIGKILL " + p.name, Short: true,
			Inject: func(ctx context.Context, w *World, d *Draw) error { return killedAt(ctx, w, d, p) },
		})
	}
	return kinds
}

// killedAt starts every relay anew so that it kills itself at the point, and then all of them without it.
func killedAt(ctx context.Context, w *World, d *Draw, p point) error {
	hits := 1
	if !p.once {
		hits += d.IntN(8)
	}
	relays := w.fleet.running()
	reached := true
	if p.before != "" {
		err := w.arm(ctx, relays, 1, p.before)
		if err != nil && !errors.Is(err, errNotReached) {
			return err
		}
		reached = err == nil
	}
	if reached {
		arm := w.arm
		if p.join {
			arm = w.armAndJoin
		}
		err := arm(ctx, relays, hits, p.name)
		if err != nil && !errors.Is(err, errNotReached) {
			return err
		}
		reached = err == nil
	}
	if err := errors.Join(kill(relays), start(relays)); err != nil {
		return err
	}
	if !reached {
		return fmt.Errorf("%w: no relay came to %q within %s", errNotReached, p.name, pointPatience)
	}
	return nil
}

// arm starts the relays so that each kills itself when it comes to the point for the hits-th time, and waits until one has.
// Another that takes over may die there as well.
func (w *World) arm(ctx context.Context, relays []*relay, hits int, point string) error {
	if err := kill(relays); err != nil {
		return err
	}
	for _, r := range relays {
		if err := r.start(armed(hits, point)); err != nil {
			return err
		}
	}
	return dies(ctx, relays)
}

// armAndJoin starts the first relay alone, with everything its own, and then another, so that it has shards to give up.
func (w *World) armAndJoin(ctx context.Context, relays []*relay, hits int, point string) error {
	if err := errors.Join(kill(relays), relays[0].start(armed(hits, point))); err != nil {
		return err
	}
	// The leases of those that were killed must have expired, or there is nothing to give.
	if _, err := until(ctx, pointPatience, func() bool {
		shards, err := relays[0].metric(ctx, metricShards)
		return err == nil && shards == 64
	}); err != nil {
		return err
	}
	joiner := w.fleet.relays[slices.IndexFunc(w.fleet.relays, func(r *relay) bool { return r != relays[0] })]
	if err := joiner.start(launch{}); err != nil {
		return err
	}
	return errors.Join(dies(ctx, relays[:1]), joiner.kill())
}

func armed(hits int, point string) launch {
	return launch{env: []string{fmt.Sprintf("CHAOS_KILL=%d@%s", hits, point)}, mayDie: true}
}

// dies waits until one of the relays has killed itself.
func dies(ctx context.Context, relays []*relay) error {
	died, err := until(ctx, pointPatience, func() bool { return slices.ContainsFunc(relays, ended) })
	if err != nil {
		return err
	}
	if !died {
		return errNotReached
	}
	return nil
}
