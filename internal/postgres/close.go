package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/outbox-relay/outbox-relay/internal/relay"
)

// Whoever wants to change an entry waits here for whoever is changing one.
const sqlLockAttempt = `
SELECT closed_at IS NOT NULL, open, struck, ids FROM {schema}.outbox_attempt WHERE id = $1 FOR UPDATE`

const sqlMoveEntries = `
UPDATE {schema}.outbox_attempt
   SET open = $2, struck = $3,
       closed_at = CASE WHEN $4::boolean THEN now() END, closed_by = CASE WHEN $4::boolean THEN $5::uuid END
 WHERE id = $1`

const sqlDeleteRows = `DELETE FROM {schema}.outbox WHERE id = ANY ($1::bigint[])`

// ledgerState is what a ledger row says of its entries.
type ledgerState struct {
	closed bool
	open   []int16 // nil = all, unless closed
	struck []int16
	ids    []int64
}

// A move is what a closing changes in a ledger row, having met what others had changed before.
type move struct {
	open    []int16 // what stays open
	struck  []int16 // what is struck now, nil = nothing
	changed bool
	delete  []int64 // rows of the entries that are settled by this
	broken  []int
}

// close moves the named entries that are still open, in a transaction of its own. An attempt that does not exist is left at
// that: it was purged, and so had no open entry.
func (s *Store) close(ctx context.Context, session uuid.UUID, c relay.Closing) (relay.Closed, error) {
	var closed relay.Closed
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		var was ledgerState
		err := tx.QueryRow(ctx, s.sql(sqlLockAttempt), c.Attempt[:]).Scan(&was.closed, &was.open, &was.struck, &was.ids)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("lock the attempt: %w", err)
		}
		m, err := was.move(c)
		if err != nil {
			return err
		}
		closed.Broken = m.broken
		if !m.changed {
			return nil
		}
		return s.apply(ctx, tx, session, c.Attempt, m)
	})
	if err != nil {
		return relay.Closed{}, fmt.Errorf("close entries of attempt %x: %w", c.Attempt, err)
	}
	return closed, nil
}

func (s *Store) apply(ctx context.Context, tx pgx.Tx, session uuid.UUID, id relay.AttemptID, m move) error {
	batch := &pgx.Batch{}
	batch.Queue(s.sql(sqlMoveEntries), id[:], m.open, m.struck, len(m.open) == 0, session)
	if len(m.delete) > 0 {
		batch.Queue(s.sql(sqlDeleteRows), m.delete)
	}
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("move entries and delete rows: %w", err)
	}
	return nil
}

// move works out what a closing changes. An entry that is not open any more stays what it is; one that was to be settled but
// had been struck is reported as broken.
func (l ledgerState) move(c relay.Closing) (move, error) {
	state := l.states()
	named := c.Settled
	if c.All {
		named = make([]int, len(l.ids))
		for i := range named {
			named[i] = i
		}
	}
	for _, i := range slices.Concat(named, c.Struck) {
		if i < 0 || i >= len(state) {
			return move{}, fmt.Errorf("entry %d of %d does not exist", i, len(state))
		}
	}
	var m move
	for _, i := range named {
		switch state[i] {
		case relay.EntryOpen:
			state[i], m.changed = relay.EntrySettled, true
			m.delete = append(m.delete, l.ids[i])
		case relay.EntryStruck:
			m.broken = append(m.broken, i)
		}
	}
	for _, i := range c.Struck {
		if state[i] == relay.EntryOpen {
			state[i], m.changed = relay.EntryStruck, true
		}
	}
	for i, st := range state {
		switch st {
		case relay.EntryOpen:
			m.open = append(m.open, int16(i))
		case relay.EntryStruck:
			m.struck = append(m.struck, int16(i))
		}
	}
	return m, nil
}
