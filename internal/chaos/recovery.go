package chaos

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// patience is how long nothing may move once a fault has gone. A doubt takes five seconds, a broker that restarts with a name
// server that does not know it ten; the rest is for a machine that is very busy.
const patience = 2 * time.Minute

// left is what a fault may have left behind: what was pending or open when it went.
type left struct {
	lastRow int64
	at      time.Time // by the database's clock
}

// remember notes where the outbox stands.
func (w *World) remember(ctx context.Context) (l left, err error) {
	err = w.asking(ctx, func(ctx context.Context) error {
		return w.db.QueryRow(ctx, `SELECT last_value, clock_timestamp() FROM outbox_id_seq`).Scan(&l.lastRow, &l.at)
	})
	return l, err
}

// count counts what of it is still there.
func (w *World) count(ctx context.Context, l left) (rows, open int, err error) {
	err = w.asking(ctx, func(ctx context.Context) error {
		return w.db.QueryRow(ctx, `SELECT (SELECT count(*) FROM outbox WHERE id <= $1),
			(SELECT count(*) FROM outbox_attempt WHERE closed_at IS NULL AND decided_at <= $2)`, l.lastRow, l.at).Scan(&rows, &open)
	})
	return rows, open, err
}

// asking asks the database until it answers: it may just have been restarted.
func (w *World) asking(ctx context.Context, ask func(context.Context) error) error {
	deadline := time.Now().Add(patience)
	for {
		attempt, cancel := context.WithTimeout(ctx, 15*time.Second)
		err := ask(attempt)
		cancel()
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case time.Now().After(deadline):
			return fmt.Errorf("ask the database: %w", err)
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
}

// recovered waits until all that l stands for has left the outbox and the ledger, and returns how long that took. Stuck says
// that nothing moved for so long that nobody would wait any longer, and what was left.
func (w *World) recovered(ctx context.Context, l left, limit time.Duration) (took time.Duration, stuck string, err error) {
	begin := time.Now()
	moved, rows, open := begin, -1, -1
	for {
		r, o, err := w.count(ctx, l)
		if err != nil {
			return 0, "", err
		}
		if r == 0 && o == 0 {
			return time.Since(begin), "", nil
		}
		if r != rows || o != open {
			moved, rows, open = time.Now(), r, o
		}
		if time.Since(moved) > limit {
			return time.Since(begin), fmt.Sprintf("%d rows and %d open attempts are left, and nothing has moved for %s", r, o, limit), nil
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return 0, "", err
		}
	}
}

// decided counts attempts: it grows while rows are sent.
func (w *World) decided(ctx context.Context) (n int, err error) {
	err = w.asking(ctx, func(ctx context.Context) error {
		return w.db.QueryRow(ctx, `SELECT count(*) FROM outbox_attempt`).Scan(&n)
	})
	return n, err
}

// flows waits until rows are sent, and reports whether they ever are.
func (w *World) flows(ctx context.Context, atMost time.Duration) (bool, error) {
	before, err := w.decided(ctx)
	if err != nil {
		return false, err
	}
	var asked error
	flowing, err := until(ctx, atMost, func() bool {
		n, err := w.decided(ctx)
		asked = err
		return err != nil || n > before+2
	})
	if asked != nil {
		return false, asked
	}
	return flowing, err
}

// delivered counts the messages on the topic.
func (w *World) delivered(ctx context.Context) (n int64, err error) {
	ends, err := w.topic.now(ctx)
	for _, end := range ends {
		n += end
	}
	return n, err
}

const (
	// settleDown is how long what was under way before a fault may still arrive.
	settleDown = 3 * time.Second
	// noticing is how long the relays may take to find a way round a fault.
	noticing = 30 * time.Second
)

// works lets a fault last for so long, and longer if nothing has been sent under it by then: in the end something must be.
func (w *World) works(ctx context.Context, long time.Duration) error {
	if err := pause(ctx, settleDown); err != nil {
		return err
	}
	before, err := w.delivered(ctx)
	if err != nil {
		return err
	}
	if err := pause(ctx, long-settleDown); err != nil {
		return err
	}
	var asked error
	works, err := until(ctx, noticing, func() bool {
		var n int64
		n, asked = w.delivered(ctx)
		return asked != nil || n > before
	})
	if err := errors.Join(err, asked); err != nil || works {
		return err
	}
	return fmt.Errorf("%w: nothing was sent for %s while it lasted", errStalled, max(long-settleDown, 0)+noticing)
}
