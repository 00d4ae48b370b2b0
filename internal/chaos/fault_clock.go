package chaos

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// clockPatience: messages that were born minutes ahead can be committed for so long.
const clockPatience = 6 * time.Minute

func clockKinds() []Kind {
	return []Kind{
		{Name: "clock: relay minutes ahead", Patience: clockPatience, LongWait: true, Inject: relayAhead},
		{Name: "clock: relay minutes behind", Patience: clockPatience, LongWait: true, Inject: relayBehind},
		{Name: "clock: relay jumps while it runs", Patience: clockPatience, LongWait: true, Inject: relayJumps},
		{Name: "clock: broker minutes ahead", Patience: clockPatience, LongWait: true, Inject: brokerAhead},
		{Name: "clock: broker minutes behind", Patience: clockPatience, LongWait: true, Inject: brokerBehind},
		{Name: "clock: broker jumps while it runs", Patience: clockPatience, LongWait: true, Inject: brokerJumps},
	}
}

func relayAhead(ctx context.Context, w *World, d *Draw) error {
	return wrongClock(ctx, w, d, d.between(time.Minute, 4*time.Minute))
}

func relayBehind(ctx context.Context, w *World, d *Draw) error {
	return wrongClock(ctx, w, d, -d.between(time.Minute, 4*time.Minute))
}

// wrongClock sets the clock of one relay or of all wrong for a while. A relay may be started under it, too.
func wrongClock(ctx context.Context, w *World, d *Draw, offset time.Duration) error {
	long, all := d.between(8*time.Second, 15*time.Second), d.IntN(2) == 0
	relays := w.fleet.running()
	if !all {
		r, err := w.pick(ctx, d)
		if err != nil {
			return err
		}
		relays = []*relay{r}
	}
	if err := setClocks(relays, offset); err != nil {
		return err
	}
	if d.IntN(2) == 0 {
		if err := errors.Join(kill(relays), start(relays)); err != nil {
			return err
		}
	}
	return errors.Join(w.works(ctx, long), setClocks(relays, 0))
}

// relayJumps lets the clocks of all relays jump, each by itself, minutes forth and back.
func relayJumps(ctx context.Context, w *World, d *Draw) error {
	relays := w.fleet.running()
	for range 4 + d.IntN(6) {
		for _, r := range relays {
			if err := r.setClock(d.between(-3*time.Minute, 3*time.Minute)); err != nil {
				return err
			}
		}
		if err := pause(ctx, d.between(500*time.Millisecond, 3*time.Second)); err != nil {
			return errors.Join(err, setClocks(relays, 0))
		}
	}
	return setClocks(relays, 0)
}

func setClocks(relays []*relay, offset time.Duration) error {
	return every(relays, func(r *relay) error { return r.setClock(offset) })
}

func brokerAhead(ctx context.Context, w *World, d *Draw) error {
	return wrongBroker(ctx, w, d, d.between(time.Minute, 4*time.Minute))
}

func brokerBehind(ctx context.Context, w *World, d *Draw) error {
	return wrongBroker(ctx, w, d, -d.between(time.Minute, 4*time.Minute))
}

// wrongBroker sets the broker's clock wrong for a while; it may be killed and started under it, too. At the end its clock
// steps back, or forth, while commits are under way.
func wrongBroker(ctx context.Context, w *World, d *Draw, offset time.Duration) error {
	long, restart := d.between(8*time.Second, 15*time.Second), d.IntN(4) == 0
	if err := w.setBrokerClock(offset); err != nil {
		return err
	}
	if restart {
		if err := brokerKilled(ctx, w, d); err != nil {
			return err
		}
	}
	return errors.Join(w.works(ctx, long), w.setBrokerClock(0))
}

// brokerJumps lets the broker's clock jump forth and back, by less than the window, and by minutes.
func brokerJumps(ctx context.Context, w *World, d *Draw) error {
	for range 3 + d.IntN(4) {
		far := []time.Duration{5 * time.Second, 3 * time.Minute}[d.IntN(2)]
		if err := w.setBrokerClock(d.between(-far, far)); err != nil {
			return err
		}
		// libfaketime looks once a second.
		if err := pause(ctx, d.between(time.Second, 4*time.Second)); err != nil {
			return errors.Join(err, w.setBrokerClock(0))
		}
	}
	return w.setBrokerClock(0)
}

func (w *World) setBrokerClock(offset time.Duration) error {
	if !w.fakeClock {
		return fmt.Errorf("%w: the broker's clock can be set with libfaketime only (on Debian: apt-get install faketime)", errNotReached)
	}
	return w.broker.SetClock(offset)
}
