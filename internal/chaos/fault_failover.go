package chaos

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/outbox-relay/outbox-relay/internal/stack"
)

// failedOver kills the primary for good and promotes a synchronous standby, which has every commit that was acknowledged.
func failedOver(ctx context.Context, w *World, d *Draw) error {
	instant, between := d.between(0, 4*time.Second), d.between(0, 2*time.Second)
	standby, err := w.startStandby(ctx)
	if err != nil {
		return err
	}
	if err := pause(ctx, instant); err != nil {
		return err
	}
	if err := errors.Join(w.postgres.Kill(), pause(ctx, between)); err != nil {
		return err
	}
	return w.promote(ctx, standby)
}

// failedOverLate also takes the standby away before, for longer than any of the relay's timeouts: commits wait for it, and
// what was given up waiting for is on the primary only, and lost with it.
func failedOverLate(ctx context.Context, w *World, d *Draw) error {
	away := d.between(3*time.Second, 20*time.Second)
	standby, err := w.startStandby(ctx)
	if err != nil {
		return err
	}
	if err := errors.Join(standby.Kill(), pause(ctx, away), w.postgres.Kill()); err != nil {
		return err
	}
	if err := standby.Start(ctx); err != nil {
		return err
	}
	return w.promote(ctx, standby)
}

func (w *World) startStandby(ctx context.Context) (*stack.Postgres, error) {
	standby, err := stack.StartStandby(ctx, w.postgres, w.serverOptions())
	if missing := (*stack.MissingError)(nil); errors.As(err, &missing) {
		return nil, fmt.Errorf("%w: %w", errNotReached, err)
	}
	if err != nil {
		return nil, err
	}
	w.standbys = append(w.standbys, standby)
	return standby, nil
}

// promote makes the standby the primary that everybody is sent to.
func (w *World) promote(ctx context.Context, standby *stack.Postgres) error {
	if err := standby.Promote(ctx); err != nil {
		return err
	}
	w.postgres = standby
	w.database.Store(&standby.Addr)
	w.databaseLine.SetUpstream(standby.Addr)
	return nil
}
