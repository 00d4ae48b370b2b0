package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/outbox-relay/outbox-relay/internal/relay"
)

const sqlEntryStates = `
SELECT id, closed_at IS NOT NULL, open, struck, ids FROM {schema}.outbox_attempt WHERE id = ANY ($1::bytea[])`

// EntryStates returns the states of the entries of attempts that are in the ledger.
func (s *Store) EntryStates(ctx context.Context, attempts []relay.AttemptID) (relay.EntryStates, error) {
	ids := make([][]byte, len(attempts))
	for i := range attempts {
		ids[i] = attempts[i][:]
	}
	rows, err := s.pool.Query(ctx, s.sql(sqlEntryStates), ids)
	if err != nil {
		return nil, fmt.Errorf("read the states of entries: %w", err)
	}
	states := make(relay.EntryStates, len(attempts))
	var id []byte
	var l ledgerState
	_, err = pgx.ForEachRow(rows, []any{&id, &l.closed, &l.open, &l.struck, &l.ids}, func() error {
		states[relay.AttemptID(id)] = l.states()
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the states of entries: %w", err)
	}
	return states, nil
}

// states returns the state of each entry: settled is what is neither open nor struck.
func (l ledgerState) states() []relay.EntryState {
	states := make([]relay.EntryState, len(l.ids))
	for i := range states {
		states[i] = relay.EntrySettled
		if !l.closed && l.open == nil {
			states[i] = relay.EntryOpen
		}
	}
	for _, i := range l.open {
		states[i] = relay.EntryOpen
	}
	for _, i := range l.struck {
		states[i] = relay.EntryStruck
	}
	return states
}
