package bench

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// drain is a backlog that waits when the relays start.
type drain struct {
	kind    string
	size    int
	flush   Flush
	rows    int
	relays  int
	brokers int
	// after inserts the rows in one transaction while the relays wait for them, so that several have divided the work.
	after bool
}

func (d drain) run(ctx context.Context, w *Bench) (v Values, err error) {
	brokers, err := w.need(d.flush, d.brokers)
	if err != nil {
		return nil, err
	}
	k := kinds()[d.kind]
	p, err := w.newPlace(ctx, k, brokers)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	rows := w.cfg.Scale.rows(d.rows)
	if d.after { // in one transaction
		rows = w.cfg.Scale.atMost(d.rows)
	}
	relays, stop, err := d.prepare(ctx, p, rows)
	defer func() { err = errors.Join(err, stop()) }()
	if err != nil {
		return nil, err
	}
	v, err = p.measureDrain(ctx, relays, rows)
	if err != nil {
		return nil, notSupported(err)
	}
	a, err := p.audit(ctx, rows, d.size)
	if err != nil {
		return nil, err
	}
	return v, a.verdict()
}

// prepare inserts the rows and starts the relays, or the other way round. Stop is never nil.
func (d drain) prepare(ctx context.Context, p *place, rows int) (relays []*relay, stop func() error, err error) {
	if !d.after {
		if err := p.fill(ctx, 1, rows, d.size, chunk); err != nil {
			return nil, func() error { return nil }, err
		}
		return p.launch(d.relays) // a relay that is awaited would have begun
	}
	if relays, stop, err = p.fleet(ctx, d.relays); err != nil {
		return nil, stop, err
	}
	if err := p.awaitShares(ctx, relays); err != nil {
		return nil, stop, err
	}
	return relays, stop, p.fill(ctx, 1, rows, d.size, rows)
}

// progress is how many messages were on the topic at a time.
type progress struct {
	at    time.Time
	count int
}

const (
	// look is the pause between two looks at the ends of the queues.
	look = 25 * time.Millisecond
	// drainPatience is how long nothing may come.
	drainPatience = 2 * time.Minute
)

// measureDrain measures from the first message that is seen to the last row that is settled.
func (p *place) measureDrain(ctx context.Context, relays []*relay, rows int) (Values, error) {
	w := p.bench
	m := meter{relays: relays, postgres: w.cfg.Servers.PostgresPID, brokers: p.brokers}
	first, err := p.awaitFirst(ctx, relays)
	if err != nil {
		return nil, err
	}
	before, mark := m.read(), walMark(ctx, p.db)
	profile := w.profile(ctx, p, relays[0])
	series, err := p.follow(ctx, relays, first, rows)
	if err != nil {
		return nil, err
	}
	if err := p.awaitSettled(ctx); err != nil {
		return nil, err
	}
	settled := time.Now()
	v, last := Values{}, series[len(series)-1]
	if n := rows - first.count; n > rows/2 { // else they came almost at once: too few to measure by
		m.read().since(before, n, v)
		addWAL(ctx, p.db, mark, n, v)
		v[Rate] = float64(n) / last.at.Sub(first.at).Seconds()
	}
	p.addSizes(ctx, v)
	peakMemory(relays, v)
	v[Tail] = settled.Sub(last.at).Seconds() * 1000
	if ratio, ok := endToStart(series); ok {
		v[EndToStart] = ratio
	}
	return v, profile()
}

// awaitFirst waits for the first messages.
func (p *place) awaitFirst(ctx context.Context, relays []*relay) (progress, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, drainPatience, errors.New("nothing came"))
	defer cancel()
	for {
		n, err := p.bench.count(ctx, p.topic, p.brokers)
		switch {
		case err != nil:
			return progress{}, err
		case n > 0:
			return progress{time.Now(), n}, nil
		}
		for _, r := range relays {
			if err := r.alive(); err != nil {
				return progress{}, err
			}
		}
		if err := pause(ctx, 2*time.Millisecond); err != nil {
			return progress{}, fmt.Errorf("wait for the first message: %w%s", err, relays[0].tail())
		}
	}
}

// follow watches the topic until all rows are there.
func (p *place) follow(ctx context.Context, relays []*relay, first progress, rows int) ([]progress, error) {
	series := []progress{first}
	for last := first; last.count < rows; {
		if err := pause(ctx, look); err != nil {
			return nil, err
		}
		n, err := p.bench.count(ctx, p.topic, p.brokers)
		if err != nil {
			return nil, err
		}
		switch now := time.Now(); {
		case n > last.count:
			last = progress{now, n}
			series = append(series, last)
		case now.Sub(last.at) > drainPatience:
			return nil, fmt.Errorf("%d of %d messages came, and nothing more for %s%s", n, rows, drainPatience, relays[0].tail())
		default:
			for _, r := range relays {
				if err := r.alive(); err != nil {
					return nil, err
				}
			}
		}
	}
	return series, nil
}

// endToStart compares the speed in the last fifth of the rows with that in the first.
func endToStart(series []progress) (float64, bool) {
	first, last := series[0], series[len(series)-1]
	fifth := (last.count - first.count) / 5
	var lead, tail progress
	for _, s := range series {
		if lead.at.IsZero() && s.count >= first.count+fifth {
			lead = s
		}
		if tail.at.IsZero() && s.count >= last.count-fifth {
			tail = s
		}
	}
	start := float64(lead.count-first.count) / lead.at.Sub(first.at).Seconds()
	end := float64(last.count-tail.count) / last.at.Sub(tail.at).Seconds()
	const enough = 10 // looks in a fifth, or it says nothing
	if lead.at.Sub(first.at) < enough*look || last.at.Sub(tail.at) < enough*look {
		return 0, false
	}
	return end / start, true
}
