package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

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
	rotation int // of unordered rows over queues; the reader's
}

// live opens a session, works until ctx is done or something goes wrong, and closes it. It returns nil after a stop in good
// order.
func (r *Relay) live(ctx context.Context) error {
	s := r.newSession(ctx)
	defer s.end(nil)
	if err := s.open(); err != nil {
		return err
	}
	r.current.Store(s.state())
	defer r.current.Store(nil)
	g, work := errgroup.WithContext(s.work)
	for name, run := range map[string]func(context.Context) error{
		"lease":    s.keepLease,
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
	if err == nil {
		err = context.Cause(s.work)
	}
	s.leave()
	if errors.Is(err, errStopped) {
		return nil
	}
	return err
}

func (r *Relay) newSession(ctx context.Context) *session {
	s := &session{Relay: r, id: uuid.New(), intake: newIntake(), pauses: newPauses(r.cfg.Retry), ends: newQueueEnds(r.broker)}
	s.throttle = newThrottle(r.cfg.BatchRows * r.cfg.InFlight)
	s.work, s.end = context.WithCancelCause(context.WithoutCancel(ctx))
	s.slots = make(chan struct{}, r.cfg.InFlight+1) // one is the reader's
	s.ledger = &ledger{
		store: r.store, session: s.id, requests: make(chan ledgerRequest), log: r.log,
		broken: func(n int) { r.metrics.Broken(s.work, n) },
	}
	s.resolver = newResolver(s)
	return s
}

// open inserts the lease, says what the last session knew, and takes over what is free, before any row is read.
func (s *session) open() error {
	err := s.store.OpenSession(s.work, Session{
		ID: s.id, Instance: s.cfg.Instance, ClientID: s.cfg.ClientID, Version: s.cfg.Version,
	}, s.cfg.Lease)
	if err != nil {
		return fmt.Errorf("open a session: %w", err)
	}
	s.metrics.Session(s.work)
	s.log.Info("session opened", slog.String("session", s.id.String()), slog.String("instance", s.cfg.Instance))
	if err := s.sayCarried(); err != nil {
		return err
	}
	return s.renew()
}

// leave deletes the lease, so that nobody has to wait for it to expire.
func (s *session) leave() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.work), 5*time.Second)
	defer cancel()
	if err := s.store.CloseSession(ctx, s.id); err != nil {
		s.log.Warn("the lease could not be deleted, it will expire", slog.String("error", err.Error()))
	}
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

// close writes what became of an attempt's entries.
func (s *session) close(ctx context.Context, c Closing) error { return s.ledger.close(ctx, c) }
