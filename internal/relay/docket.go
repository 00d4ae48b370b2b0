package relay

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"
)

// resolver holds the doubts of a session, one docket a broker, so that a broker that does not answer keeps nobody else
// waiting.
type resolver struct {
	s       *session
	mu      sync.Mutex
	dockets map[string]*docket
	running sync.WaitGroup
	over    bool
}

// docket is the open doubts of one broker.
type docket struct {
	s      *session
	broker string
	mu     *sync.Mutex // the resolver's

	concluding gate // held while entries are closed, and by who takes doubts away
	open       []*doubt
	said       string // the last trouble that was logged

	patience patience
}

// patience is the growing wait of a docket that cannot go on.
type patience struct{ failures int }

func (p *patience) next() time.Duration {
	p.failures++
	return Backoff{Initial: 500 * time.Millisecond, Factor: 2, Max: 30 * time.Second}.Wait(p.failures - 1)
}

func (p *patience) reset() { p.failures = 0 }

func newResolver(s *session) *resolver {
	return &resolver{s: s, dockets: make(map[string]*docket)}
}

// run waits for the end of the session, and looks what others decide; the dockets work by themselves.
func (r *resolver) run(work context.Context) error {
	r.watch(work)
	r.mu.Lock() // whoever is adding has added
	r.over = true
	r.mu.Unlock()
	r.running.Wait()
	return nil
}

// add takes in a doubt. Its key is blocked already.
func (r *resolver) add(o *doubt) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return // it is open in the ledger, the next session finds it
	}
	d := r.dockets[o.broker]
	if d == nil {
		d = &docket{s: r.s, broker: o.broker, mu: &r.mu, concluding: newGate()}
		r.dockets[o.broker] = d
		r.running.Add(1)
		go func() {
			defer r.running.Done()
			d.run(r)
		}()
	}
	d.open = append(d.open, o)
}

// surrender takes away the doubts of shards that this session gives up. They stay open in the ledger. It returns how many.
// False if the session is over.
func (r *resolver) surrender(work context.Context, shards uint64) (n int, ok bool) {
	r.mu.Lock()
	dockets := slices.Collect(maps.Values(r.dockets))
	r.mu.Unlock()
	for _, d := range dockets {
		if !d.concluding.enter(work) {
			return n, false
		}
		n += d.surrender(shards)
		d.concluding.leave()
	}
	return n, true
}

func (d *docket) surrender(shards uint64) int {
	var taken []*doubt
	for _, o := range d.list() {
		if shards>>o.shard&1 == 1 {
			o.surrendered = true
			taken = append(taken, o)
		}
	}
	d.drop(taken)
	return len(taken)
}

// ages returns how long each open entry has been in doubt.
func (r *resolver) ages() []time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	var ages []time.Duration
	for _, d := range r.dockets {
		for _, o := range d.open {
			ages = append(ages, time.Since(o.since))
		}
	}
	return ages
}

// run goes round until nothing is open or the session is over.
func (d *docket) run(r *resolver) {
	ctx := d.s.work
	for {
		if r.close(d) {
			return
		}
		open := d.list()
		if len(open) == 0 {
			continue // they were taken away just now
		}
		wait, err := d.round(ctx, open)
		if ctx.Err() != nil {
			return
		}
		d.say(open, err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// close takes out a docket of which nothing is open. False if something is.
func (r *resolver) close(d *docket) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(d.open) > 0 {
		return false
	}
	delete(r.dockets, d.broker)
	return true
}

func (d *docket) list() []*doubt {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.open)
}

// drop takes doubts out and returns those that were still in: whoever takes one out tells the intake.
func (d *docket) drop(closed []*doubt) (dropped []*doubt) {
	gone := make(map[*doubt]bool, len(closed))
	for _, o := range closed {
		gone[o] = true
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	kept := d.open[:0]
	for _, o := range d.open {
		if gone[o] {
			dropped = append(dropped, o)
		} else {
			kept = append(kept, o)
		}
	}
	clear(d.open[len(kept):])
	d.open = kept
	return dropped
}

// say logs a trouble when it is new.
func (d *docket) say(open []*doubt, err error) {
	if err == nil {
		d.said = ""
		return
	}
	if err.Error() != d.said {
		d.said = err.Error()
		d.s.log.Warn("in doubt, and cannot be resolved yet", slog.String("broker", d.broker), slog.Int("entries", len(open)),
			slog.Duration("oldest", time.Since(oldest(open).since)), slog.Bool("alert", time.Since(oldest(open).since) > time.Minute),
			slog.String("error", d.said))
	}
}

func oldest(open []*doubt) *doubt {
	first := open[0]
	for _, o := range open {
		if o.over.Before(first.over) {
			first = o
		}
	}
	return first
}

// ripe returns the doubts that were fenced long enough ago: what the broker accepted before is written by now.
func ripe(open []*doubt, address string, margin time.Duration) []*doubt {
	var r []*doubt
	for _, o := range open {
		if !o.fenced.IsZero() && o.fencedBy == address && time.Since(o.fenced) >= margin {
			r = append(r, o)
		}
	}
	return r
}

// wake returns how long nothing can happen to the open doubts.
func wake(open []*doubt, margin time.Duration) time.Duration {
	const shortest, longest = 50 * time.Millisecond, time.Second
	wait := longest
	for _, o := range open {
		at := o.over
		if !o.fenced.IsZero() {
			at = o.fenced.Add(margin)
		}
		wait = min(wait, time.Until(at))
	}
	return max(wait, shortest)
}
