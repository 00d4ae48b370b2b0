package bench

import (
	"context"
	"errors"
	"time"
)

const (
	recoveryRows = 100_000
	awayTime     = 5 * time.Second
)

// recovery is a broker that is frozen while rows are written, and goes on. Its connections stay open, as when a machine hangs
// or a network is cut.
func recovery(ctx context.Context, w *Bench) (v Values, err error) {
	brokers, err := w.need(Async, 1)
	if err != nil {
		return nil, err
	}
	broker := brokers[0]
	if broker.Pause == nil {
		return nil, skip("needs a broker that can be frozen")
	}
	p, err := w.newPlace(ctx, kinds()["transaction"], brokers)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	relays, stop, err := p.fleet(ctx, 1)
	if err != nil {
		return nil, errors.Join(err, stop())
	}
	defer func() { err = errors.Join(err, stop()) }()
	const size = 256
	rows := w.cfg.Scale.atMost(recoveryRows)
	before := max(rows/5, 1) // so that everything has been used once
	if err := p.fill(ctx, 1, before, size, chunk); err != nil {
		return nil, err
	}
	if _, err := p.awaitCount(ctx, before, look); err != nil {
		return nil, err
	}
	if err := errors.Join(p.awaitSettled(ctx), broker.Pause()); err != nil {
		return nil, err
	}
	err = p.fill(ctx, before+1, rows, size, chunk)
	if err == nil {
		err = pause(ctx, w.cfg.Scale.duration(awayTime))
	}
	if err = errors.Join(err, broker.Resume()); err != nil {
		return nil, err
	}
	series, err := p.follow(ctx, relays, progress{time.Now(), before}, before+rows)
	if err != nil {
		return nil, err
	}
	v = recovered(series)
	if err := p.awaitSettled(ctx); err != nil {
		return nil, err
	}
	a, err := p.audit(ctx, before+rows, size)
	if err != nil {
		return nil, err
	}
	return v, a.verdict()
}

// recovered finds when the messages came again, and when they came at four fifths of the speed of all that followed the
// first, for half a second.
func recovered(series []progress) Values {
	begin, last := series[0], series[len(series)-1]
	v := Values{}
	if len(series) < 2 {
		return v
	}
	first := series[1]
	v[FirstMessage] = first.at.Sub(begin.at).Seconds() * 1000
	if len(series) < 3 { // they came at once: too few to measure a speed
		return v
	}
	speed := float64(last.count-first.count) / last.at.Sub(first.at).Seconds()
	v[Rate] = speed
	const window = 500 * time.Millisecond
	for i, s := range series[1:] {
		for _, later := range series[i+1:] {
			if took := later.at.Sub(s.at); took >= window {
				if float64(later.count-s.count) >= 0.8*speed*took.Seconds() {
					v[FullSpeed] = s.at.Sub(begin.at).Seconds() * 1000
					return v
				}
				break
			}
		}
	}
	return v
}
