package txcheck

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Check answers about the half message whose property MarkerProperty is id. An error comes with Unknown, and says why nothing
// was decided; a transaction that is young or still running is no error. It never panics.
func (m *Markers) Check(ctx context.Context, id string) (answer Answer, err error) {
	// A panic would end the process or, worse, silently end the official client's check loop, depending on its version.
	defer func() {
		if p := recover(); p != nil {
			answer, err = Unknown, fmt.Errorf("check a transaction: panic: %v", p)
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, m.o.Timeout)
	defer cancel()
	return m.check(ctx, id, m.o.Grace)
}

func (m *Markers) check(ctx context.Context, id string, grace time.Duration) (Answer, error) {
	parsed, err := parseMarkerID(id)
	if err != nil {
		return Unknown, fmt.Errorf("check a transaction: %w", err)
	}
	tx, err := m.pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.ReadCommitted})
	if err != nil {
		return Unknown, fmt.Errorf("check transaction %s: %w", parsed.uuid, err)
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) //nolint:errcheck // It does nothing after a commit, and otherwise changes nothing.
	answer, err := m.decide(ctx, tx, parsed, grace)
	if err == nil && answer != Unknown {
		// Before it is on disk it is no answer. A COMMIT that is not answered leaves the tombstone, or nothing.
		err = tx.Commit(ctx)
	}
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) && pgErr.Code == "55P03" { // lock_not_available
		return Unknown, nil // The transaction is running, or prepared.
	}
	if err != nil {
		return Unknown, fmt.Errorf("check transaction %s: %w", parsed.uuid, err)
	}
	return answer, nil
}

// decide finds the marker or makes sure that there will never be one.
func (m *Markers) decide(ctx context.Context, tx pgx.Tx, id markerID, grace time.Duration) (Answer, error) {
	var (
		origin    string
		standby   bool
		now       time.Time
		committed *bool
		set       [4]string
	)
	wait, timeout := strconv.FormatInt(m.o.LockWait.Milliseconds(), 10), strconv.FormatInt(m.o.Timeout.Milliseconds(), 10)
	err := tx.QueryRow(ctx, m.sql.look, id.uuid, wait, timeout).
		Scan(&origin, &standby, &now, &committed, &set[0], &set[1], &set[2], &set[3])
	age := now.Sub(id.at)
	switch {
	case err != nil:
		return Unknown, err
	case standby:
		return Unknown, ErrStandby
	case origin != id.origin:
		return Unknown, fmt.Errorf("its origin is %s: %w, which is %s", clip(id.origin), ErrForeign, origin)
	case committed != nil:
	case age > m.o.Retention/2:
		return Unknown, fmt.Errorf("sent at %s: %w", id.at.UTC().Format(time.RFC3339), ErrTooOld)
	case grace > 0 && age < grace:
		return Unknown, nil
	default:
		// The INSERT waits for a running transaction that has inserted the id, and fails by lock_timeout if that takes long.
		tag, err := tx.Exec(ctx, m.sql.tombstone, id.uuid)
		if err != nil {
			return Unknown, err
		}
		if tag.RowsAffected() == 1 {
			return Rollback, nil
		}
	}
	return m.found(ctx, tx, id)
}

// found reads the marker by writing to it: so the commit of this transaction waits until that of the marker is on disk as well,
// whatever synchronous_commit the other one ran with.
func (m *Markers) found(ctx context.Context, tx pgx.Tx, id markerID) (Answer, error) {
	var committed bool
	err := tx.QueryRow(ctx, m.sql.read, id.uuid).Scan(&committed)
	switch {
	case errors.Is(err, pgx.ErrNoRows): // It was purged just now.
		return Unknown, ErrTooOld
	case err != nil:
		return Unknown, err
	case committed:
		return Commit, nil
	default:
		return Rollback, nil
	}
}

// Purge removes the markers that are older than the retention, and returns how many. Call it now and then, from one place or
// many. It is never too early: about an id older than half the retention nothing is decided unless its marker is there.
func (m *Markers) Purge(ctx context.Context) (int64, error) {
	var now time.Time // of the database, as everywhere
	if err := m.pool.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&now); err != nil {
		return 0, fmt.Errorf("purge transaction markers: %w", err)
	}
	tag, err := m.pool.Exec(ctx, m.sql.purge, oldest(now.Add(-m.o.Retention)))
	if err != nil {
		return 0, fmt.Errorf("purge transaction markers: %w", err)
	}
	return tag.RowsAffected(), nil
}
