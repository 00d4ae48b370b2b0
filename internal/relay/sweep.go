package relay

import "time"

// A sweep reads once more what the reads have left behind, a little at a time and beside them: against anything unforeseen, such
// as a row with an id that somebody wrote by hand. Nothing waits for it.
type sweep struct {
	at   int64 // it goes on behind this id
	last time.Time
	wait time.Duration // between steps
	span span
}

const (
	sweepStep  = 50 * time.Millisecond // what one step should take at most
	sweepShare = 20                    // a step in so many times as long as it took
)

func newSweep() sweep {
	return sweep{last: time.Now(), wait: sweepEvery, span: span{least: 10_000, took: sweepStep}}
}

// sweep makes a step, if it is time for one. Up to the cursor, because from there on every read sees what is there.
func (r *reader) sweep(batches map[batchKey]*batch, routes routes, shards uint64, limit int) error {
	s, sw := r.s, &r.swept
	if time.Since(sw.last) < sw.wait {
		return nil
	}
	started := time.Now()
	cursor := s.intake.position()
	upTo := sw.span.from(sw.at, cursor)
	rows, _, err := s.store.ReadFresh(s.work, FreshQuery{
		After: sw.at, UpTo: upTo, Shards: shards, Topics: routes.names(), Exclude: s.intake.under(), Limit: limit, Bytes: s.cfg.BatchBytes,
	})
	if err != nil {
		return err
	}
	took := time.Since(started)
	for i := range rows {
		if s.intake.admit(&rows[i]) {
			r.take(batches, routes, &rows[i])
		}
	}
	seen, more := r.extent(rows, limit, upTo)
	if !more {
		sw.span.read(took)
	}
	sw.at, sw.last, sw.wait = seen, time.Now(), sweepShare*took
	if seen >= cursor {
		sw.at, sw.wait = 0, max(sweepEvery, sw.wait)
	}
	return nil
}
