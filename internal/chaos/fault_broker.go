package chaos

import (
	"context"
	"errors"
	"time"
)

func brokerKinds() []Kind {
	return []Kind{
		{Name: "broker: kill -9", Short: true, Inject: brokerKilled},
		{Name: "broker: clean restart", LongWait: true, Inject: brokerRestarted},
		{Name: "broker: SIGSTOP", Inject: brokerFrozen},
		{Name: "broker: index deleted", Inject: brokerIndexDeleted},
		{Name: "broker: name server gone", Inject: nameServerGone},
		{Name: oneGone, Finale: true, LongWait: true},
	}
}

func brokerKilled(ctx context.Context, w *World, d *Draw) error {
	instant, down := d.between(0, 1500*time.Millisecond), d.between(0, 4*time.Second)
	if err := pause(ctx, instant); err != nil {
		return err
	}
	if err := w.broker.Kill(); err != nil {
		return err
	}
	if err := pause(ctx, down); err != nil {
		return err
	}
	return w.broker.Start(ctx)
}

// brokerRestarted takes up to 20 seconds: RocketMQ's own shutdown does.
func brokerRestarted(ctx context.Context, w *World, d *Draw) error {
	if err := pause(ctx, d.between(0, 1500*time.Millisecond)); err != nil {
		return err
	}
	return w.broker.Restart(ctx)
}

// brokerFrozen freezes it for longer than the window.
func brokerFrozen(ctx context.Context, w *World, d *Draw) error {
	instant, frozen := d.between(0, 1500*time.Millisecond), d.between(8*time.Second, 12*time.Second)
	if err := pause(ctx, instant); err != nil {
		return err
	}
	if err := w.broker.Pause(); err != nil {
		return err
	}
	return errors.Join(pause(ctx, frozen), w.broker.Resume())
}

// brokerIndexDeleted takes the index away, by which messages are found by their keys. The relay must not take "not found" for
// "not there". After a kill the broker builds it again, after a stop in good order it does not.
func brokerIndexDeleted(ctx context.Context, w *World, d *Draw) error {
	instant, orderly := d.between(0, 1500*time.Millisecond), d.IntN(3) == 0
	if err := pause(ctx, instant); err != nil {
		return err
	}
	end := w.broker.Kill
	if orderly {
		end = func() error { return w.broker.Stop(ctx) }
	}
	if err := end(); err != nil {
		return err
	}
	if err := w.broker.DeleteIndex(); err != nil {
		return err
	}
	return w.broker.Start(ctx)
}

// nameServerGone also starts a relay anew meanwhile, which then knows no broker.
func nameServerGone(ctx context.Context, w *World, d *Draw) error {
	down, restart := d.between(3*time.Second, 15*time.Second), d.IntN(2) == 0
	if err := w.nameServer.Kill(); err != nil {
		return err
	}
	if restart {
		if err := relayKilled(ctx, w, d); err != nil {
			return err
		}
	}
	if err := pause(ctx, down); err != nil {
		return err
	}
	return w.nameServer.Start(ctx)
}
