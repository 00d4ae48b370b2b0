package bench

import (
	"context"
	"errors"
	"time"
)

const (
	idleTime = 10 * time.Second
	// idleRest is what goes before, for the pause between reads to grow.
	idleRest = 2 * time.Second
)

func otherCases() []Case {
	return []Case{
		{Name: "pay", run: pay{size: 256}.run},
		{Name: "idle", run: idle},
		{Name: "start", run: start},
		{Name: "recovery", Rows: recoveryRows, run: recovery},
	}
}

// idle is a relay that has nothing to do. What PostgreSQL uses without it is taken off.
func idle(ctx context.Context, w *Bench) (v Values, err error) {
	brokers, err := w.need(Async, 1)
	if err != nil {
		return nil, err
	}
	p, err := w.newPlace(ctx, kinds()["transaction"], brokers)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	alone, err := w.load(ctx, nil, idleTime/2)
	if err != nil {
		return nil, err
	}
	relays, stop, err := p.fleet(ctx, 1)
	if err != nil {
		return nil, errors.Join(err, stop())
	}
	defer func() { err = errors.Join(err, stop()) }()
	if err := pause(ctx, idleRest); err != nil {
		return nil, err
	}
	v, err = w.load(ctx, relays, idleTime)
	if err != nil {
		return nil, err
	}
	if with, known := v[PostgLoad]; known {
		v[PostgLoad] = with - alone[PostgLoad]
	}
	if now, _, err := residentMemory(relays[0].pid()); err == nil {
		v[ResidentMemory] = float64(now) / megabyte
	}
	return v, relays[0].alive()
}

// load is how much of a core the relays and PostgreSQL use during a time.
func (w *Bench) load(ctx context.Context, relays []*relay, d time.Duration) (Values, error) {
	m := meter{relays: relays, postgres: w.cfg.Servers.PostgresPID}
	before, begin := m.read(), time.Now()
	if err := pause(ctx, w.cfg.Scale.duration(d)); err != nil {
		return nil, err
	}
	after, took := m.read(), time.Since(begin).Seconds()
	v := Values{}
	for measure, load := range map[Measure]Measure{RelayCPU: RelayLoad, PostgresCPU: PostgLoad} {
		if used, known := after[measure]; known {
			v[load] = 100 * (used - before[measure]).Seconds() / took
		}
	}
	return v, nil
}
