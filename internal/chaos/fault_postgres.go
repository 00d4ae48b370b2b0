package chaos

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

func postgresKinds() []Kind {
	return []Kind{
		{Name: "postgres: kill -9", Short: true, Inject: postgresKilled},
		{Name: "postgres: fast restart", Short: true, Inject: postgresRestarted},
		{Name: "postgres: every relay connection terminated", Short: true, Inject: connectionsTerminated},
		{Name: "postgres: lock on outbox", LongWait: true, Inject: outboxLocked},
		{Name: "postgres: idle in transaction, a row inserted", LongWait: true, Inject: rowHeldBack},
		{Name: "postgres: idle in transaction, a snapshot held", LongWait: true, Inject: snapshotHeld},
		{Name: "postgres: fail-over", Inject: failedOver},
		{Name: "postgres: standby away, then fail-over", LongWait: true, Inject: failedOverLate},
	}
}

func postgresKilled(ctx context.Context, w *World, d *Draw) error {
	instant, down := d.between(0, 1500*time.Millisecond), d.between(0, 3*time.Second)
	if err := pause(ctx, instant); err != nil {
		return err
	}
	if err := w.postgres.Kill(); err != nil {
		return err
	}
	if err := pause(ctx, down); err != nil {
		return err
	}
	return w.postgres.Start(ctx)
}

// postgresRestarted is pg_ctl restart -m fast.
func postgresRestarted(ctx context.Context, w *World, d *Draw) error {
	if err := pause(ctx, d.between(0, 1500*time.Millisecond)); err != nil {
		return err
	}
	return w.postgres.Restart(ctx)
}

// connectionsTerminated ends every backend of every relay, a few times.
func connectionsTerminated(ctx context.Context, w *World, d *Draw) error {
	for range 1 + d.IntN(5) {
		if err := pause(ctx, d.between(100*time.Millisecond, 1500*time.Millisecond)); err != nil {
			return err
		}
		err := w.asking(ctx, func(ctx context.Context) error {
			_, err := w.db.Exec(ctx, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '`+relayRole+`'`)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// outboxLocked holds the lock that a migration takes.
func outboxLocked(ctx context.Context, w *World, d *Draw) error {
	long := d.between(10*time.Second, 30*time.Second)
	return w.held(ctx, false, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `LOCK TABLE outbox IN ACCESS EXCLUSIVE MODE`)
		return err
	}, func(ctx context.Context) error { return pause(ctx, long) })
}

// rowHeldBack keeps a row uncommitted while others with larger ids pass it.
func rowHeldBack(ctx context.Context, w *World, d *Draw) error {
	span, long, commit := w.ledger.now(), d.between(15*time.Second, 30*time.Second), d.IntN(2) == 0
	e := []Event{{ID: -1 - int64(d.Uint32())}}
	return w.held(ctx, commit, func(ctx context.Context, tx pgx.Tx) error {
		w.ledger.attempt(e)
		if err := insertRows(ctx, tx, e, 0); err != nil {
			return err
		}
		return insertBook(ctx, tx, e, span)
	}, func(ctx context.Context) error { return w.works(ctx, long) })
}

// snapshotHeld is a report that runs for a long time: nothing is vacuumed meanwhile.
func snapshotHeld(ctx context.Context, w *World, d *Draw) error {
	long := d.between(15*time.Second, 30*time.Second)
	return w.held(ctx, false, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SET TRANSACTION ISOLATION LEVEL REPEATABLE READ`); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `SELECT count(*) FROM outbox_attempt`)
		return err
	}, func(ctx context.Context) error { return w.works(ctx, long) })
}

// held keeps a transaction open meanwhile, once it has done something.
func (w *World) held(ctx context.Context, commit bool, do func(context.Context, pgx.Tx) error, meanwhile func(context.Context) error) error {
	tx, err := w.db.Begin(ctx)
	if err != nil {
		return fmt.Errorf("begin the transaction that is held: %w", err)
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) //nolint:errcheck // After a COMMIT it does nothing.
	if err := do(ctx, tx); err != nil {
		return fmt.Errorf("make the transaction that is held: %w", err)
	}
	err = meanwhile(ctx)
	end := tx.Rollback
	if commit {
		end = tx.Commit
	}
	return errors.Join(err, end(ctx))
}
