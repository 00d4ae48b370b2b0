package relay

import (
	"context"
	"fmt"
	"log/slog"
	"time"
)

// The lease: renewed for as long as the session lives. A renewal that fails, or takes so long that the lease may have run
// out, ends the session.

// keepLease renews the lease until the session is over.
func (s *session) keepLease(work context.Context) error {
	tick := time.NewTicker(s.cfg.Renew)
	defer tick.Stop()
	for {
		if err := s.renew(work); err != nil {
			return err
		}
		select {
		case <-work.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (s *session) renew(work context.Context) error {
	ctx, cancel := context.WithTimeout(work, s.cfg.Lease-s.cfg.Renew)
	defer cancel()
	if err := s.store.RenewSession(ctx, s.id, s.cfg.Lease); err != nil {
		return fmt.Errorf("renew the lease: %w", err)
	}
	s.renewedNow()
	return s.watchHeld(ctx)
}

// open inserts the lease and says what the last session knew, before any row is read.
func (s *session) open(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Lease)
	defer cancel()
	err := s.store.OpenSession(ctx, Session{
		ID: s.id, Instance: s.cfg.Instance, ClientID: s.cfg.ClientID, Version: s.cfg.Version,
	}, s.cfg.Lease)
	if err != nil {
		return fmt.Errorf("open a session: %w", err)
	}
	s.renewedNow()
	s.metrics.Session(s.work)
	s.log.InfoContext(ctx, "session opened", slog.String("session", s.id.String()), slog.String("instance", s.cfg.Instance))
	if err := s.confirm(ctx); err != nil {
		return err
	}
	return s.sayCarried(ctx)
}

func (s *session) renewedNow() {
	now := time.Now()
	s.renewed.Store(&now)
}

// leave deletes the lease, so that nobody has to wait for it to expire.
func (s *session) leave() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.work), 5*time.Second)
	defer cancel()
	if err := s.store.CloseSession(ctx, s.id); err != nil {
		s.log.Warn("the lease could not be deleted, it will expire", slog.String("error", err.Error()))
	}
}
