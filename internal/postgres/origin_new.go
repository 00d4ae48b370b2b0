package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// ErrPendingRows means that a copy holds rows, and nobody has said what is to become of them.
var ErrPendingRows = errors.New("the copy holds pending rows")

// Pending says what becomes of the rows that a copy has brought along.
type Pending int

// What may become of them.
const (
	PendingUnsaid  Pending = iota // refused if there are any
	PendingPublish                // they are published under the new origin too
	PendingDiscard                // they are deleted
)

// A Copied is what making a copy an outbox of its own changes, or would change.
type Copied struct {
	Was     Origin
	ID      uuid.UUID // the new one
	Pending int64     // rows in the outbox
	Dead    int64     // dead letters: they stay
	Open    int64     // messages that the original had decided and not yet settled: struck, they are the original's
}

const sqlCopied = `
SELECT (SELECT count(*) FROM {schema}.outbox), (SELECT count(*) FROM {schema}.outbox_dead),
       (SELECT coalesce(sum(coalesce(cardinality(open), cardinality(ids))), 0)::bigint
          FROM {schema}.outbox_attempt WHERE closed_at IS NULL)`

const sqlNewOrigin = `
UPDATE {schema}.outbox_origin SET origin = $1, system_identifier = $2, database_oid = $3, created_at = now()`

// The halves are the original's, and so is their outcome. Struck means here: this outbox has not sent them, and will neither
// ask for them, nor roll them back, nor settle a row because of them.
const sqlStrikeAll = `
UPDATE {schema}.outbox_attempt
   SET struck = (SELECT array_agg(DISTINCT e ORDER BY e)
                   FROM unnest(coalesce(struck, '{}') || coalesce(open, (SELECT array_agg((n - 1)::smallint)
                                                                           FROM generate_series(1, cardinality(ids)) n))) e),
       open = NULL, closed_at = now(), closed_by = $1
 WHERE closed_at IS NULL`

const sqlDiscard = `DELETE FROM {schema}.outbox`

// errDry ends a transaction that was only to be looked at.
var errDry = errors.New("dry run")

// NewOrigin makes a copy an outbox of its own. ErrLive while a relay is alive, ErrPendingRows where there are rows and what
// becomes of them is unsaid; Copied is valid with the latter too. A dry run changes nothing.
func (s *Store) NewOrigin(ctx context.Context, rows Pending, dry bool) (Copied, error) {
	c := Copied{ID: uuid.New()}
	err := s.withoutRelays(ctx, func(tx pgx.Tx) (err error) {
		if c.Was, err = s.readOrigin(ctx, tx); err != nil {
			return err
		}
		// No row can be inserted between counting and deleting them.
		if _, err := tx.Exec(ctx, s.sql(`LOCK TABLE {schema}.outbox IN SHARE ROW EXCLUSIVE MODE`)); err != nil {
			return fmt.Errorf("lock the outbox: %w", err)
		}
		if err := tx.QueryRow(ctx, s.sql(sqlCopied)).Scan(&c.Pending, &c.Dead, &c.Open); err != nil {
			return fmt.Errorf("count what the copy holds: %w", err)
		}
		switch {
		case dry:
			return errDry
		case c.Pending > 0 && rows == PendingUnsaid:
			return ErrPendingRows
		}
		return s.renew(ctx, tx, c, rows)
	})
	if err != nil && !errors.Is(err, errDry) {
		return c, fmt.Errorf("make the copy an outbox of its own: %w", err)
	}
	return c, nil
}

func (s *Store) renew(ctx context.Context, tx pgx.Tx, c Copied, rows Pending) error {
	if _, err := tx.Exec(ctx, s.sql(sqlStrikeAll), c.ID); err != nil {
		return fmt.Errorf("strike what the original had decided: %w", err)
	}
	if rows == PendingDiscard {
		if _, err := tx.Exec(ctx, s.sql(sqlDiscard)); err != nil {
			return fmt.Errorf("discard the pending rows: %w", err)
		}
	}
	if _, err := tx.Exec(ctx, s.sql(sqlNewOrigin), c.ID, c.Was.Here.System, c.Was.Here.Database); err != nil {
		return fmt.Errorf("write the new origin: %w", err)
	}
	return nil
}
