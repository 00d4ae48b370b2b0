package chaos

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/jackc/pgx/v5"
)

// maxRelays is how many relays there are; how many of them run is drawn for each fault.
const maxRelays = 3

// fleet is the relays.
type fleet struct {
	relays []*relay
}

func newFleet(ctx context.Context, binary, dir string, env []string) (*fleet, error) {
	f := &fleet{}
	for i := range maxRelays {
		r, err := newRelay(ctx, fmt.Sprintf("relay-%d", i+1), binary, dir, env)
		if err != nil {
			return nil, err
		}
		f.relays = append(f.relays, r)
	}
	return f, nil
}

// running returns the relays that run.
func (f *fleet) running() []*relay {
	var running []*relay
	for _, r := range f.relays {
		if r.running() {
			running = append(running, r)
		}
	}
	return running
}

// scale starts or stops relays until n run. Those that stop are drawn, and so is whether they may finish.
func (f *fleet) scale(ctx context.Context, n int, d *Draw) error {
	running := f.running()
	d.Shuffle(len(running), func(i, j int) { running[i], running[j] = running[j], running[i] })
	for len(running) > n {
		r := running[len(running)-1]
		running = running[:len(running)-1]
		end := r.stop
		if d.IntN(2) == 0 {
			end = func(context.Context) error { return r.kill() }
		}
		if err := end(ctx); err != nil {
			return err
		}
	}
	for _, r := range f.relays {
		if len(running) < n && !r.running() {
			if err := r.start(launch{}); err != nil {
				return err
			}
			running = append(running, r)
		}
	}
	return nil
}

// every does the same to several relays at once.
func every(relays []*relay, do func(*relay) error) error {
	errs := make([]error, len(relays))
	var wg sync.WaitGroup
	for i, r := range relays {
		wg.Go(func() { errs[i] = do(r) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// kill kills relays all at once.
func kill(relays []*relay) error { return every(relays, (*relay).kill) }

// start starts relays in the usual way.
func start(relays []*relay) error {
	for _, r := range relays {
		if err := r.start(launch{}); err != nil {
			return err
		}
	}
	return nil
}

// pick returns one of the relays that own shards, so that the fault meets one that works; any if none does.
func (w *World) pick(ctx context.Context, d *Draw) (*relay, error) {
	running := w.fleet.running()
	if len(running) == 0 {
		return nil, errors.New("no relay runs")
	}
	owners, err := w.owners(ctx)
	if err != nil {
		return nil, err
	}
	working := slices.DeleteFunc(slices.Clone(running), func(r *relay) bool { return !slices.Contains(owners, r.name) })
	if len(working) == 0 {
		working = running
	}
	return working[d.IntN(len(working))], nil
}

// owners returns the instances that own shards.
func (w *World) owners(ctx context.Context) ([]string, error) {
	rows, err := w.db.Query(ctx, `SELECT instance FROM outbox_lease WHERE shards <> 0 ORDER BY instance`)
	if err != nil {
		return nil, fmt.Errorf("read the leases: %w", err)
	}
	owners, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("read the leases: %w", err)
	}
	return owners, nil
}

// exits says which relays ended by themselves, and how.
func (f *fleet) exits() []string {
	var all []string
	for _, r := range f.relays {
		all = append(all, r.ownExits()...)
	}
	return all
}

func (f *fleet) close() error {
	return every(f.relays, (*relay).close)
}
