package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
)

// steady is rows that are committed one by one at a rate, whatever becomes of them.
type steady struct {
	kind string
	rate int
	size int
}

const (
	steadyTime = 10 * time.Second
	// steadyLead is what goes before the measured time, at the same rate.
	steadyLead = 2 * time.Second
	// lastPatience is how long the last messages may take.
	lastPatience = time.Minute
)

func steadyCases() []Case {
	var all []Case
	for _, rate := range []int{100, 500, 2000, 5000} {
		all = append(all, Case{Name: fmt.Sprintf("steady %d/s", rate), run: steady{kind: "transaction", rate: rate, size: 256}.run})
	}
	for _, rate := range []int{500, 2000} { // beside the peers, who send plainly
		all = append(all, Case{Name: fmt.Sprintf("steady normal %d/s", rate), run: steady{kind: "normal", rate: rate, size: 256}.run})
	}
	return all
}

func (d steady) run(ctx context.Context, w *Bench) (v Values, err error) {
	brokers, err := w.need(Async, 1)
	if err != nil {
		return nil, err
	}
	p, err := w.newPlace(ctx, kinds()[d.kind], brokers)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	relays, stop, err := p.fleet(ctx, 1)
	if err != nil {
		return nil, errors.Join(notSupported(err), stop())
	}
	defer func() { err = errors.Join(err, stop()) }()
	m := meter{relays: relays, postgres: w.cfg.Servers.PostgresPID, brokers: brokers}
	v, err = p.measureSteady(ctx, d, p.schema, "INSERT INTO outbox (topic, payload) VALUES ($1, $2)", m)
	if err != nil {
		return nil, err
	}
	peakMemory(relays, v)
	return v, p.awaitSettled(ctx)
}

// measureSteady inserts with the statement, reads the topic as a consumer does, and judges what came.
func (p *place) measureSteady(ctx context.Context, d steady, schema, insert string, m meter) (Values, error) {
	w := p.bench
	lead := int(float64(d.rate) * steadyLead.Seconds())
	rows := lead + int(float64(d.rate)*w.cfg.Scale.duration(steadyTime).Seconds())
	writing, err := w.newWriters(ctx, schema, insert, p.topic, d.size)
	if err != nil {
		return nil, err
	}
	defer writing.close()
	if w.cfg.Servers.PostgresPID != 0 { // they are on this machine
		settleDisks()
	}
	reading := newConsumer(p, rows, d.size)
	group, groupCtx := errgroup.WithContext(ctx)
	reads, stopReading := context.WithCancel(groupCtx)
	defer stopReading()
	for _, run := range reading.loops() {
		group.Go(func() error { return run(reads) })
	}
	var times []time.Time
	var slope float64
	v := Values{}
	group.Go(func() error {
		defer stopReading()
		slope, times, err = p.offer(groupCtx, writing, reading, d.rate, lead, rows, m, v)
		return err
	})
	if err := group.Wait(); err != nil {
		return nil, err
	}
	v[Slope] = slope
	v[Offered] = float64(rows-lead) / times[rows].Sub(times[lead+1]).Seconds()
	toStore, toConsumer := reading.latencies(times, lead+1)
	toStore.add(v, StoreP50, StoreP95, StoreP99, StoreMax)
	toConsumer.add(v, ConsumeP50, ConsumeP95, ConsumeP99, ConsumeMax)
	return v, reading.audit.verdict()
}

// offer writes at the rate, samples the backlog, and waits for the last message.
func (p *place) offer(ctx context.Context, writing *writers, reading *consumer, rate, lead, rows int, m meter, v Values) (float64, []time.Time, error) {
	var samples []sample
	group, groupCtx := errgroup.WithContext(ctx)
	sampling, stop := context.WithCancel(groupCtx)
	var before usage
	var begin time.Time
	group.Go(func() error {
		begin = time.Now()
		for pause(sampling, 50*time.Millisecond) == nil {
			written := int(writing.committed.Load())
			if written <= lead {
				before, begin = m.read(), time.Now()
				continue
			}
			samples = append(samples, sample{time.Since(begin).Seconds(), float64(written) - float64(reading.arrived.Load())})
		}
		return nil
	})
	group.Go(func() error {
		defer stop()
		return writing.write(groupCtx, rate, rows)
	})
	if err := group.Wait(); err != nil {
		return 0, nil, err
	}
	used, took := m.read(), time.Since(begin).Seconds()
	for measure, load := range map[Measure]Measure{RelayCPU: RelayLoad, PostgresCPU: PostgLoad} {
		if after, known := used[measure]; known {
			v[load] = 100 * (after - before[measure]).Seconds() / took
		}
	}
	return slope(samples), writing.times, reading.awaitAll(ctx)
}

// sample is a backlog at a time.
type sample struct{ at, backlog float64 }

// slope is by how many rows a second the backlog grows: the line through the samples with the least squares.
func slope(samples []sample) float64 {
	n := float64(len(samples))
	if n < 2 {
		return 0
	}
	var x, y, xx, xy float64
	for _, s := range samples {
		x, y, xx, xy = x+s.at, y+s.backlog, xx+s.at*s.at, xy+s.at*s.backlog
	}
	if spread := n*xx - x*x; spread > 0 {
		return (n*xy - x*y) / spread
	}
	return 0
}
