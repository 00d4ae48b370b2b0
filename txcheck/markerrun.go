package txcheck

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// A Beginner begins transactions: a pgxpool.Pool or a pgx.Conn.
type Beginner interface {
	Begin(ctx context.Context) (pgx.Tx, error)
}

// Run runs the transaction of a half message that was stored: BEGIN, the marker, fn, COMMIT; it rolls back if fn returns an
// error or panics. The answer is what the broker may be told, and it holds for ever: after Rollback, nothing can commit under
// this id. Unknown means that PostgreSQL could not be asked; the checker will find out.
//
// The error is nil exactly if this transaction has committed.
func (m *Markers) Run(ctx context.Context, db Beginner, id string, fn func(tx pgx.Tx) error) (Answer, error) {
	err := m.run(ctx, db, id, fn)
	if err == nil {
		return Commit, nil
	}
	// The transaction was rolled back, or its COMMIT was not answered. Only the database knows, and only a tombstone keeps a
	// second Run under this id from committing after all.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), m.o.Timeout)
	defer cancel()
	answer, checkErr := m.check(ctx, id, 0)
	var unanswered *commitError
	if answer == Commit && errors.As(err, &unanswered) {
		return Commit, nil
	}
	if answer == Unknown {
		err = errors.Join(err, checkErr)
	}
	return answer, err
}

// A commitError is one of COMMIT itself: the transaction may have committed.
type commitError struct{ error }

func (e *commitError) Unwrap() error { return e.error }

func (m *Markers) run(ctx context.Context, db Beginner, id string, fn func(tx pgx.Tx) error) error {
	tx, err := db.Begin(ctx)
	if err != nil {
		return fmt.Errorf("begin the transaction of a half message: %w", err)
	}
	// Also for a panic in fn. After a commit it does nothing.
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), m.o.Timeout)
		defer cancel()
		_ = tx.Rollback(ctx)
	}()
	if err := m.Mark(ctx, tx, id); err != nil {
		return err
	}
	if err := fn(tx); err != nil {
		return err
	}
	if err := tx.Commit(ctx); err != nil {
		return &commitError{fmt.Errorf("commit the transaction of a half message: %w", err)}
	}
	return nil
}

// Mark writes the marker into a transaction that the application begins and ends itself; [Run] does all of it. The rules, each
// of which the fence needs:
//
//   - it is the transaction's first statement, outside any savepoint: from there on the checker waits for the transaction, and
//     nothing rolls the marker back without the rest;
//   - an error ends in ROLLBACK, never in a savepoint that is rolled back to;
//   - the half message must be stored already (ExecuteLocalTransaction is called then);
//   - after a rollback the answer is Unknown, and the checker makes it Rollback.
func (m *Markers) Mark(ctx context.Context, tx pgx.Tx, id string) error {
	return m.mark(id, func(args ...any) (int64, error) {
		tag, err := tx.Exec(ctx, m.sql.mark, args...)
		return tag.RowsAffected(), err
	})
}

// MarkSQL is [Markers.Mark] for database/sql.
func (m *Markers) MarkSQL(ctx context.Context, tx *sql.Tx, id string) error {
	return m.mark(id, func(args ...any) (int64, error) {
		result, err := tx.ExecContext(ctx, m.sql.mark, args...)
		if err != nil {
			return 0, err
		}
		return result.RowsAffected()
	})
}

func (m *Markers) mark(id string, exec func(args ...any) (int64, error)) error {
	parsed, err := parseMarkerID(id)
	if err != nil {
		return fmt.Errorf("mark a transaction: %w", err)
	}
	if parsed.origin != m.origin {
		return fmt.Errorf("mark a transaction: id %s: %w, which is %s", id, ErrForeign, m.origin)
	}
	n, err := exec(parsed.uuid, parsed.origin, parsed.at.Add(m.o.Retention/2))
	var state interface{ SQLState() string }
	switch {
	case errors.As(err, &state) && state.SQLState() == "23505": // unique_violation
		return fmt.Errorf("mark transaction %s: %w: %w", parsed.uuid, ErrDecided, err)
	case err != nil:
		return fmt.Errorf("mark transaction %s: %w", parsed.uuid, err)
	case n == 0:
		return fmt.Errorf("mark transaction %s of %s: %w, or outbox_origin has changed", parsed.uuid,
			parsed.at.UTC().Format(time.RFC3339), ErrTooOld)
	}
	return nil
}
