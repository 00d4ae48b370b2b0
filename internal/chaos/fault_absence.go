package chaos

import (
	"context"
	"errors"
	"time"
)

// checkLimit is when the broker has asked often enough about a half message that nobody finished, and drops it: the first
// check, and 15 more, half a second apart. See brokerSettings.
const checkLimit = 10 * time.Second

func absenceKinds() []Kind {
	return []Kind{
		{Name: "absence: relays, longer than the check limit", LongWait: true, Inject: relaysAbsent},
		{Name: "absence: everything, longer than the check limit", LongWait: true, Inject: everythingAbsent},
	}
}

// relaysAbsent leaves the broker alone with half messages, decided ones among them, until it has dropped them.
func relaysAbsent(ctx context.Context, w *World, d *Draw) error {
	relays := w.fleet.running()
	before := []string{pointHalf, pointDecide, pointCommitFirst, pointCommit}[d.IntN(4)]
	long := checkLimit + d.between(2*time.Second, 8*time.Second)
	if err := w.arm(ctx, relays, 1, before); err != nil && !errors.Is(err, errNotReached) {
		return err
	}
	if err := kill(relays); err != nil {
		return err
	}
	return errors.Join(pause(ctx, long), start(relays))
}

// everythingAbsent also takes the servers away meanwhile. The broker comes back first, and is alone for the rest of the time.
func everythingAbsent(ctx context.Context, w *World, d *Draw) error {
	relays := w.fleet.running()
	before := []string{pointDecide, pointCommitFirst, pointCommit}[d.IntN(3)]
	down, alone := d.between(2*time.Second, 6*time.Second), checkLimit+d.between(2*time.Second, 8*time.Second)
	if err := w.arm(ctx, relays, 1, before); err != nil && !errors.Is(err, errNotReached) {
		return err
	}
	if err := errors.Join(kill(relays), w.broker.Kill(), w.nameServer.Kill(), w.postgres.Kill()); err != nil {
		return err
	}
	if err := pause(ctx, down); err != nil {
		return err
	}
	if err := errors.Join(w.nameServer.Start(ctx), w.broker.Start(ctx)); err != nil {
		return err
	}
	return errors.Join(pause(ctx, alone), w.postgres.Start(ctx), start(relays))
}
