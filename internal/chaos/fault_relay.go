package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"syscall"
	"time"
)

func relayKinds() []Kind {
	return []Kind{
		{Name: "relay: SIGKILL", Short: true, Inject: relayKilled},
		{Name: "relay: all SIGKILLed at once", Short: true, Inject: relaysKilled},
		{Name: "relay: SIGSTOP longer than the lease", Relays: 2, Inject: relayFrozen},
		{Name: "relay: rolling update", Relays: 2, Inject: rollingUpdate},
		{Name: "relay: disk full of logs", Short: true, Inject: logDiskFull},
		{Name: "relay: nobody reads its log", Short: true, Inject: logUnread},
		{Name: "relay: out of memory", Inject: outOfMemory},
	}
}

// relayKilled kills one that works, and starts it again a little later.
func relayKilled(ctx context.Context, w *World, d *Draw) error {
	instant, down := d.between(0, 1500*time.Millisecond), d.between(0, 5*time.Second)
	if err := pause(ctx, instant); err != nil {
		return err
	}
	r, err := w.pick(ctx, d)
	if err != nil {
		return err
	}
	if err := r.kill(); err != nil {
		return err
	}
	if err := pause(ctx, down); err != nil {
		return err
	}
	return r.start(launch{})
}

func relaysKilled(ctx context.Context, w *World, d *Draw) error {
	instant, down := d.between(0, 1500*time.Millisecond), d.between(0, 4*time.Second)
	if err := pause(ctx, instant); err != nil {
		return err
	}
	victims := w.fleet.running()
	if err := kill(victims); err != nil {
		return err
	}
	if err := pause(ctx, down); err != nil {
		return err
	}
	return start(victims)
}

// relayFrozen freezes one that works for longer than its lease, while another may take over.
func relayFrozen(ctx context.Context, w *World, d *Draw) error {
	instant, frozen := d.between(0, 1500*time.Millisecond), d.between(4*time.Second, 12*time.Second)
	if err := pause(ctx, instant); err != nil {
		return err
	}
	r, err := w.pick(ctx, d)
	if err != nil {
		return err
	}
	if err := r.signal(syscall.SIGSTOP); err != nil {
		return err
	}
	return errors.Join(pause(ctx, frozen), r.signal(syscall.SIGCONT))
}

// rollingUpdate stops each relay in good order and starts it again once the others have gone on.
func rollingUpdate(ctx context.Context, w *World, d *Draw) error {
	relays := w.fleet.running()
	d.Shuffle(len(relays), func(i, j int) { relays[i], relays[j] = relays[j], relays[i] })
	pauses := make([]time.Duration, len(relays))
	for i := range pauses {
		pauses[i] = d.between(0, 2*time.Second)
	}
	for i, r := range relays {
		if err := r.stop(ctx); err != nil {
			return err
		}
		if err := r.start(launch{}); err != nil {
			return err
		}
		if _, err := w.flows(ctx, patience); err != nil {
			return err
		}
		if err := pause(ctx, pauses[i]); err != nil {
			return err
		}
	}
	return nil
}

// logDiskFull starts every relay with a log that answers each write with ENOSPC, as a full disk does: /dev/full.
func logDiskFull(ctx context.Context, w *World, d *Draw) error {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("open a disk that is full: %w", err)
	}
	defer full.Close() //nolint:errcheck // Nothing can be written to it.
	long := d.between(4*time.Second, 12*time.Second)
	return w.withLog(ctx, full, func() error { return w.works(ctx, long) })
}

// logUnread starts every relay with a log that nobody reads, so that each write to it waits once the pipe is full.
func logUnread(ctx context.Context, w *World, d *Draw) error {
	reader, writer, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("make a pipe: %w", err)
	}
	defer reader.Close() //nolint:errcheck // What is in it nobody wants.
	defer writer.Close() //nolint:errcheck // As above.
	// Full from the start: the relay is quiet, and would take hours to fill it.
	if err := fill(writer); err != nil {
		return err
	}
	long := d.between(4*time.Second, 12*time.Second)
	return w.withLog(ctx, writer, func() error {
		err := pause(ctx, long)
		go func() { _, _ = io.Copy(io.Discard, reader) }() // It ends with the pipe.
		return err
	})
}

// fill writes to a pipe until it takes no more.
func fill(pipe *os.File) error {
	if err := pipe.SetWriteDeadline(time.Now().Add(200 * time.Millisecond)); err != nil {
		return fmt.Errorf("fill a pipe: %w", err)
	}
	line := append(slices.Repeat([]byte("."), 1023), '\n')
	for {
		if _, err := pipe.Write(line); errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		} else if err != nil {
			return fmt.Errorf("fill a pipe: %w", err)
		}
	}
}

// withLog lets every relay run for a while with another log, and then with its own again. It kills them in between: what they
// could not log must not have mattered.
func (w *World) withLog(ctx context.Context, log *os.File, meanwhile func() error) error {
	relays := w.fleet.running()
	if err := kill(relays); err != nil {
		return err
	}
	for _, r := range relays {
		if err := r.start(launch{stderr: log}); err != nil {
			return err
		}
	}
	lasted := meanwhile()
	for _, r := range relays {
		if broken, err := r.metric(ctx, metricBroken); err == nil && broken > 0 {
			return fmt.Errorf("%s has broken %v promises", r.name, broken)
		}
	}
	return errors.Join(lasted, kill(relays), start(relays))
}

// outOfMemory lets relays have no more memory than they have, and gives them large rows. Go ends a program whose memory is
// refused, in the middle of whatever it does.
func outOfMemory(ctx context.Context, w *World, d *Draw) error {
	relays := w.fleet.running()
	if err := kill(relays); err != nil {
		return err
	}
	for _, r := range relays {
		if err := r.start(launch{mayDie: true}); err != nil {
			return err
		}
	}
	if _, err := w.flows(ctx, patience); err != nil {
		return err
	}
	if err := pause(ctx, d.between(0, time.Second)); err != nil {
		return err
	}
	for _, r := range relays {
		if p := r.current(); p != nil && !p.Ended() {
			if err := refuseMemory(p.PID()); err != nil {
				return err
			}
		}
	}
	w.writer.large.Store(largeTransactions)
	died, err := until(ctx, pointPatience, func() bool { return slices.ContainsFunc(relays, ended) })
	if err := errors.Join(err, kill(relays), start(relays)); err != nil {
		return err
	}
	if !died {
		return fmt.Errorf("%w: no relay ran out of memory", errNotReached)
	}
	return nil
}

func ended(r *relay) bool {
	p := r.current()
	return p != nil && p.Ended()
}
