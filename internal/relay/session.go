package relay

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
)

// errStopped ends a session in good order.
var errStopped = errors.New("the relay is stopping")

// session is one life of the relay in the lease table. Any error from Postgres leaves something unknown, and ends it; the
// next one recovers the way it would after a crash. What this one knew for certain it carries over.
type session struct {
	*Relay
	id       uuid.UUID
	work     context.Context // done when the session is over
	end      context.CancelCauseFunc
	intake   *intake
	ledger   *ledger
	resolver *resolver
	pauses   *pauses
	throttle *throttle
	ends     *queueEnds
	slots    chan struct{} // batches under way
	batches  sync.WaitGroup
	underway underway
	reading  gate   // held from the beginning of a read until its batches are under way
	rotation int    // of unordered rows over queues; the reader's
	loaded   uint64 // shards that are this session's, and whose open attempts are known; the sharer's
}

// live opens a session, works until ctx is done or something goes wrong, and closes it. It returns nil after a stop in good
// order.
func (r *Relay) live(ctx context.Context) error {
	s := r.newSession(ctx)
	defer s.end(nil)
	defer s.leave()
	if err := s.open(ctx); err != nil {
		return err
	}
	r.current.Store(&State{Session: s.id})
	defer r.current.Store(nil)
	g, work := errgroup.WithContext(s.work)
	for name, run := range map[string]func(context.Context) error{
		"lease":    s.keepLease,
		"shards":   s.share,
		"ledger":   s.ledger.run,
		"resolver": s.resolver.run,
		"reader":   func(context.Context) error { return (&reader{s: s}).run(ctx) },
		"gauges":   s.gauge,
		"purge":    s.purge,
	} {
		g.Go(func() error {
			err := run(work)
			if err != nil {
				s.end(err)
				return fmt.Errorf("%s: %w", name, err)
			}
			return nil
		})
	}
	err := g.Wait()
	s.batches.Wait() // answers that are still to come are worth having: at most commit_timeout
	s.forgetPauses()
	if cause := context.Cause(s.work); cause != nil {
		err = cause
	}
	if errors.Is(err, errStopped) {
		return nil
	}
	return err
}

func (r *Relay) newSession(ctx context.Context) *session {
	s := &session{Relay: r, id: uuid.New(), intake: newIntake(), reading: newGate(), pauses: newPauses(r.cfg.Retry), ends: newQueueEnds(r.broker)}
	s.throttle = newThrottle(r.cfg.BatchRows * r.cfg.InFlight)
	s.work, s.end = context.WithCancelCause(context.WithoutCancel(ctx))
	s.slots = make(chan struct{}, r.cfg.InFlight+1) // one is the reader's
	s.ledger = &ledger{
		store: r.store, session: s.id, requests: make(chan ledgerRequest), log: r.log,
		broken:   func(n int) { r.metrics.Broken(s.work, n) },
		doubled:  func(n int) { r.metrics.Doubled(s.work, n) },
		settling: func() { r.cfg.at(PointSettling) },
	}
	s.resolver = newResolver(s)
	return s
}

// slot waits for a place for one more batch. False if the relay is stopping or the session is over.
func (s *session) slot(ctx context.Context) bool {
	select {
	case s.slots <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	case <-s.work.Done():
		return false
	}
}

func (s *session) unslot() { <-s.slots }
