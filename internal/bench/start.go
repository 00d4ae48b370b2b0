package bench

import (
	"context"
	"errors"
)

// start is the time from the start of the process to the first message, of a row that waits.
func start(ctx context.Context, w *Bench) (v Values, err error) {
	brokers, err := w.need(Async, 1)
	if err != nil {
		return nil, err
	}
	p, err := w.newPlace(ctx, kinds()["transaction"], brokers)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	const size = 256
	if err := p.fill(ctx, 1, 1, size, 1); err != nil {
		return nil, err
	}
	r, err := p.startRelay(0)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.stop()) }()
	first, err := p.awaitFirst(ctx, []*relay{r})
	if err != nil {
		return nil, err
	}
	v = Values{FirstMessage: first.at.Sub(r.started).Seconds() * 1000}
	if err := p.awaitSettled(ctx); err != nil {
		return nil, err
	}
	a, err := p.audit(ctx, 1, size)
	if err != nil {
		return nil, err
	}
	return v, a.verdict()
}
