package relay

import (
	"context"
	"fmt"
	"math"
	"time"
)

// Stage 1: read. The outbox is the truth: a row that exists is not yet sent. Reading takes no lock and writes nothing.

const (
	dueEvery   = 100 * time.Millisecond // between looks for rows whose delay is over
	drawEvery  = 250 * time.Millisecond // between samples for the watermark,
	drawAfter  = 4                      // or after so many full reads: the cursor follows them, and each read steps over what lies behind it
	sweepEvery = time.Minute            // between sweeps
	dueShare   = 10                     // a look for due rows in so many times as long as the last one took
	restFactor = 4                      // how much less often either is while no rows come: most of what an idle relay costs
)

// reader takes rows in, one read at a time.
type reader struct {
	s         *session
	watermark watermark
	missed    int  // reads thrown away, one after the other, because a guarded writer ended
	resting   bool // the pause between reads has grown to its longest
	lastDue   time.Time
	dueWait   time.Duration // between looks for due rows
	lastDraw  time.Time
	undrawn   int // rows read since
	span      span
	swept     sweep
	last      map[pauseKey]<-chan struct{} // closed when the last batch to a broker and topic is answered, where they go in turn
}

// queue has a batch wait for the answers to the one before, for the sake of topics of which the next request waits for the
// answer to the last. (Those of type fifo wait by key: see lane.)
func (r *reader) queue(b *batch) {
	if b.way != WaySend {
		return
	}
	for _, it := range b.items {
		at := pauseKey{b.broker, it.row.Topic}
		before := r.last[at]
		if r.s.topics[it.row.Topic].Mode != ModeSync || before == b.answered {
			continue
		}
		if before != nil {
			b.after = append(b.after, before)
		}
		r.last[at] = b.answered
	}
}

// run reads until ctx is done, then waits for the batches under way. It returns early if the session ends.
func (r *reader) run(ctx context.Context) error {
	s := r.s
	r.swept, r.last = newSweep(), make(map[pauseKey]<-chan struct{})
	wait := s.cfg.PollBusy
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-s.work.Done():
			return nil
		case <-ctx.Done():
			s.batches.Wait()
			return errStopped
		case <-timer.C:
		}
		s.progress()
		rows, more, err := r.read(ctx)
		if err != nil {
			return fmt.Errorf("read the outbox: %w", err)
		}
		switch {
		case more:
			wait = 0
		case rows > 0:
			wait = s.cfg.PollBusy
		default:
			wait = min(max(wait*2, s.cfg.PollBusy), s.cfg.PollIdle)
		}
		r.resting = wait == s.cfg.PollIdle && rows == 0
		timer.Reset(wait)
	}
}

// read makes one read and starts the batches that come of it. more is true if it did not reach the end.
func (r *reader) read(ctx context.Context) (taken int, more bool, err error) {
	s := r.s
	if !s.slot(ctx) {
		return 0, false, nil
	}
	defer s.unslot() // the batches take slots of their own
	if !s.reading.enter(s.work) {
		return 0, false, nil
	}
	defer s.reading.leave()
	routes := s.routes()
	if len(routes.topics) == 0 {
		return 0, false, nil
	}
	brokers := routes.brokers()
	room := s.throttle.room(brokers)
	if room == 0 {
		return 1, false, nil // look again soon
	}
	limit := min(room, s.cfg.BatchRows*len(brokers)) // a batch goes to one broker, and should be worth its round trips
	if time.Since(r.lastDraw) >= r.rest(drawEvery) || r.undrawn >= drawAfter*s.cfg.BatchRows {
		if _, err := r.draw(); err != nil {
			return 0, false, err
		}
	}
	decided := r.watermark.upTo // by a sample from before the read
	started := time.Now()
	shards, after, exclude := s.intake.begin(s.topics, routes.reach)
	if shards == 0 {
		return 0, false, nil
	}
	upTo := r.reach(after, decided)
	rows, complete, err := s.store.ReadFresh(s.work, FreshQuery{
		After: after, UpTo: upTo, Shards: shards, Topics: routes.names(), Exclude: exclude, Limit: limit, Bytes: s.cfg.BatchBytes,
		Guard: r.watermark.guard(after),
	})
	if err != nil {
		return 0, false, err
	}
	took := time.Since(started)
	s.metrics.Read(s.work, len(rows), took)
	r.undrawn += len(rows)
	if !complete {
		return 0, true, r.missing()
	}
	r.missed = 0
	batches := make(map[batchKey]*batch, 1)
	for i := range rows {
		if s.intake.admit(&rows[i]) {
			r.take(batches, routes, &rows[i])
		}
	}
	seen, more := r.extent(rows, limit, upTo)
	if !more && upTo < math.MaxInt64 {
		r.span.read(took)
		more = true
	}
	s.intake.advance(decided, seen)
	if err := r.sweep(batches, routes, shards, limit); err != nil {
		return 0, false, err
	}
	if err := r.readDue(batches, routes, shards, limit); err != nil {
		return 0, false, err
	}
	for _, b := range batches {
		taken += len(b.items)
	}
	s.cfg.at(PointRead)
	r.start(ctx, batches)
	return taken, more, nil
}

// rest is how long to wait for what is done every so often.
func (r *reader) rest(every time.Duration) time.Duration {
	if r.resting {
		return restFactor * every
	}
	return every
}

// reach returns the id up to which a read looks. A read from far back goes in steps. The last one is without end: what is not
// decided yet is looked at as a whole each time.
func (r *reader) reach(after, decided int64) int64 {
	if r.span.least == 0 {
		r.span = span{least: 100_000, took: time.Second}
	}
	if upTo := r.span.from(after, decided); upTo < decided {
		return upTo
	}
	return math.MaxInt64
}

// extent returns the id up to which a read saw every row, and whether there may be more behind it, up to where it looked.
func (r *reader) extent(rows []Row, limit int, upTo int64) (seen int64, more bool) {
	var bytes int64
	for i := range rows {
		bytes += int64(len(rows[i].Payload))
	}
	if len(rows) < limit && bytes < r.s.cfg.BatchBytes {
		return upTo, false
	}
	return rows[len(rows)-1].ID, true
}

// take adds an admitted row to the batch of the broker and the way it goes.
func (r *reader) take(batches map[batchKey]*batch, routes routes, row *Row) {
	q, at, ok := routes.pick(row)
	if !ok {
		r.s.intake.strand(row, at)
		return
	}
	topic := &routes.topics[row.Topic].topic
	key := batchKey{broker: q.Broker, way: topic.Way(), exact: topic.Exact()}
	b := batches[key]
	if b == nil {
		b = newBatch(r.s, key)
		batches[key] = b
	}
	r.s.intake.take(b.add(row, q))
}

// readDue takes in the rows whose delay is over.
func (r *reader) readDue(batches map[batchKey]*batch, routes routes, shards uint64, limit int) error {
	s := r.s
	if time.Since(r.lastDue) < r.rest(r.dueWait) {
		return nil
	}
	r.lastDue = time.Now()
	for _, at := range s.intake.strandedAt() {
		if routes.takes(at) {
			s.intake.unstrand(at)
		}
	}
	rows, err := s.store.ReadDue(s.work, DueQuery{
		Shards: shards, Topics: routes.names(), Exclude: s.intake.notDue(), Limit: limit, Bytes: s.cfg.BatchBytes,
	})
	if err != nil {
		return err
	}
	r.dueWait = max(dueEvery, dueShare*time.Since(r.lastDue))
	for i := range rows {
		if s.intake.admitDue(&rows[i]) {
			r.take(batches, routes, &rows[i]) // if it is stranded, it is due again at the next look
		}
	}
	return nil
}

// start hands each batch to a goroutine of its own, when there is a slot for it.
func (r *reader) start(ctx context.Context, batches map[batchKey]*batch) {
	s := r.s
	for _, b := range batches {
		if !s.slot(ctx) {
			s.intake.pending(b.items...) // the session or the relay is stopping; nothing has been sent
			continue
		}
		s.batches.Add(1)
		s.underway.add(b)
		b.taken = len(b.items)
		s.throttle.add(b.broker, b.taken)
		r.queue(b)
		go func() {
			defer s.batches.Done()
			defer s.underway.remove(b)
			defer s.unslot()
			b.run()
		}()
	}
}

// missing has the next read start where the rows of a guarded writer can be that has ended. What the last one returned is not
// taken in: a row of it may be behind one of the same key that it did not see. Where that happens again and again, because many
// such writers end, the next read starts where nothing has to be guarded.
func (r *reader) missing() error {
	ended, err := r.draw()
	if r.missed++; r.missed > 1 || !ended { // not ended: its lock outlives it by a moment
		r.s.intake.rewind(r.watermark.floor)
	}
	return err
}

// draw samples how far the outbox is decided. If a guarded writer has ended, the next read starts where its rows can be.
func (r *reader) draw() (ended bool, err error) {
	r.lastDraw, r.undrawn = time.Now(), 0
	sample, err := r.s.store.Decided(r.s.work)
	if err != nil {
		return false, fmt.Errorf("sample the writers of the outbox: %w", err)
	}
	back, ended := r.watermark.observe(sample, r.lastDraw)
	if ended {
		r.s.intake.rewind(back)
	}
	return ended, nil
}
