package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// Stage 6, for the few: resolve. A commit whose outcome is unknown is never sent again. The topic itself is read: found
// proves; absent is believed only when the broker can accept no commit of that half any more, and everything it accepted
// before is readable.

// A doubt is one entry whose commit may or may not have been applied.
type doubt struct {
	attempt  AttemptID
	position int // in the ledger row
	row      int64
	key      Key
	shard    int16
	broker   string
	over     time.Time // when its window should be over: the broker is not asked before
	since    time.Time
	rule     absence
	queue    TopicQueue
	readFrom int64
	kept     []Target // where the broker keeps delayed messages of its attempt
	half     StoredHalf

	looked   bool      // the index and the queue have been asked once
	fenced   time.Time // when the broker was first seen to refuse, or from when on nothing is sent; zero = not yet
	fencedBy string    // the address that refused: another master's word would not do

	surrendered bool // with its shard; guarded by the docket's concluding
}

// shortReading is how many messages the first look reads; a longer queue waits for the proof.
const shortReading = 10_000

// An absence is what it takes to believe that a message in doubt is not there.
type absence int

// The absences.
const (
	// The broker refuses late commits, and the queue was read after that.
	absenceFenced absence = iota
	// The time in which the message may be sent is over, and the queue was read after that. No broker refuses a plain send that
	// comes late, so this is no proof.
	absenceWaited
	// The window is over: the message is sent again whether it is there or not.
	absenceAssumed
)

// absence returns what it takes for a topic.
func (s *session) absence(way Way, topic string) absence {
	switch {
	case way != WayHalf:
		return absenceWaited
	case s.topics[topic].Delivery == AtLeastOnce:
		return absenceAssumed
	default:
		return absenceFenced
	}
}

// round takes the open doubts of a broker as far as they can be taken now, and returns when to look again. What goes wrong
// with one queue keeps no other waiting.
func (d *docket) round(ctx context.Context, open []*doubt) (time.Duration, error) {
	var looking error
	address, up := d.s.broker.Address(d.broker)
	if up {
		open, looking = d.look(ctx, address, open)
	}
	open, assuming := d.assume(ctx, address, open)
	if len(open) == 0 {
		return 0, errors.Join(looking, assuming)
	}
	if !up {
		return time.Second, errors.Join(assuming, fmt.Errorf("no master of broker %s answers", d.broker))
	}
	fencing := d.fence(ctx, address, open)
	proving := d.prove(ctx, address, ripe(open, address, d.s.cfg.AppendMargin))
	if err := errors.Join(looking, assuming, fencing, proving); err != nil {
		return d.patience.next(), err
	}
	d.patience.reset()
	return wake(open, d.s.cfg.AppendMargin), nil
}

// assume gives up the doubts of topics that are at least once and whose window is over. Their halves are rolled back, which
// removes nothing that is visible.
func (d *docket) assume(ctx context.Context, address string, open []*doubt) ([]*doubt, error) {
	absent := make(map[*doubt]bool)
	var halves []StoredHalf
	for _, o := range open {
		if o.rule == absenceAssumed && time.Since(o.over) >= 0 {
			absent[o] = true
			halves = append(halves, o.half)
		}
	}
	if len(absent) == 0 {
		return open, nil
	}
	if address != "" {
		d.s.broker.Forget(address, halves)
	}
	return d.conclude(ctx, open, nil, absent)
}

// look asks the index and, where it is short, the queue, once: most of what is in doubt after a lost answer is there. It
// returns what is still open.
func (d *docket) look(ctx context.Context, address string, open []*doubt) ([]*doubt, error) {
	var fresh []*doubt
	for _, o := range open {
		if !o.looked {
			fresh = append(fresh, o)
			o.looked = true
		}
	}
	if len(fresh) == 0 {
		return open, nil
	}
	d.s.cfg.at(PointResolve)
	found, err := d.index(ctx, address, fresh)
	errs := []error{err}
	for queue, places := range byQueue(fresh) {
		errs = append(errs, d.glance(ctx, address, queue, places, found))
	}
	d.s.cfg.at(PointResolveClose)
	still, err := d.conclude(ctx, open, found, nil)
	return still, errors.Join(append(errs, err)...)
}

// glance reads a short queue.
func (d *docket) glance(ctx context.Context, address string, queue TopicQueue, places []place, found map[string]bool) error {
	ends, err := d.s.broker.MaxOffsets(ctx, address, []TopicQueue{queue})
	if err != nil {
		return fmt.Errorf("ask for the end of %s/%d: %w", queue.Topic, queue.Queue, err)
	}
	if from := starts(places)[0]; ends[0]-from <= shortReading {
		_, err = d.read(ctx, address, queue, from, places, found)
	}
	return err
}

// prove reads the queues of fenced doubts to their ends, behind a barrier: a half sent now that the dispatcher has passed
// shows that everything stored before is readable.
func (d *docket) prove(ctx context.Context, address string, ripe []*doubt) error {
	if len(ripe) == 0 {
		return nil
	}
	if err := d.barrier(ctx, address, ripe); err != nil {
		return err
	}
	d.s.cfg.at(PointResolve)
	found := make(map[string]bool)
	without := make(map[*doubt]int) // how many of the places where it could be were read without finding it
	var errs []error
	for queue, places := range byQueue(ripe) {
		errs = append(errs, d.proveQueue(ctx, address, queue, places, found, without))
	}
	absent := make(map[*doubt]bool)
	for o, n := range without {
		if n == 1+len(o.kept) && !found[o.half.UniqKey] {
			absent[o] = true
		}
	}
	d.s.cfg.at(PointResolveClose)
	errs = append(errs, d.confirm(ctx, address, absent))
	_, err := d.conclude(ctx, ripe, found, absent)
	return errors.Join(append(errs, err)...)
}

// proveQueue reads one queue. Where messages from the start on have been deleted, the doubts that start later can still be
// proven.
func (d *docket) proveQueue(
	ctx context.Context, address string, queue TopicQueue, places []place, found map[string]bool, without map[*doubt]int,
) error {
	var why string
	for _, from := range starts(places) {
		proof, err := d.read(ctx, address, queue, from, places, found)
		if err != nil {
			return err
		}
		if !proof.Complete {
			why = proof.Why
			continue
		}
		for _, p := range places {
			if p.from >= from && !found[p.doubt.half.UniqKey] {
				without[p.doubt]++
			}
		}
		break
	}
	if why != "" {
		return fmt.Errorf("what is in doubt on %s/%d cannot be proven absent: %s", queue.Topic, queue.Queue, why)
	}
	return nil
}

// conclude settles what was found, strikes what is proven absent, and returns what is still open.
func (d *docket) conclude(ctx context.Context, open []*doubt, found map[string]bool, absent map[*doubt]bool) ([]*doubt, error) {
	if !d.concluding.enter(ctx) {
		return nil, context.Cause(ctx)
	}
	defer d.concluding.leave()
	closings := make(map[AttemptID]*Closing)
	var still, closed []*doubt
	for _, o := range open {
		if o.surrendered {
			continue // the shard's next owner decides
		}
		here := found[o.half.UniqKey]
		if !here && !absent[o] {
			still = append(still, o)
			continue
		}
		c := closings[o.attempt]
		if c == nil {
			c = &Closing{Attempt: o.attempt, Lenient: o.rule != absenceFenced}
			closings[o.attempt] = c
		}
		if here {
			c.Settled = append(c.Settled, o.position)
		} else {
			c.Struck = append(c.Struck, o.position)
		}
		closed = append(closed, o)
	}
	broken := make(map[AttemptID][]int)
	for _, c := range closings {
		outcome, err := d.s.ledger.close(ctx, *c)
		if err != nil {
			d.s.carry(*c)
			d.s.end(fmt.Errorf("close entries that were in doubt: %w", err))
			return nil, err
		}
		broken[c.Attempt] = outcome.Broken
	}
	for _, o := range d.drop(closed) {
		here := found[o.half.UniqKey]
		d.s.metrics.Resolved(ctx, here)
		// What an operator has struck is pending, even if it is found after that.
		d.s.intake.resolved(o.key, o.row, !here || slices.Contains(broken[o.attempt], o.position))
	}
	if len(closed) > 0 {
		d.s.log.InfoContext(ctx, "resolved", slog.String("broker", d.broker), slog.Int("entries", len(closed)), slog.Int("found", countFound(closed, found)),
			slog.Int("still_open", len(still)))
	}
	return still, nil
}
