package postgres

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/outbox-relay/outbox-relay/internal/relay"
)

// First the entries move: only if every one of them is still open, and nothing was struck. "closed_at IS NULL" would say the
// same, but would let the planner read all of outbox_attempt_open and what vacuum has not yet taken from it.
const sqlSettleAll = `
UPDATE {schema}.outbox_attempt SET closed_at = now(), closed_by = $2
 WHERE id = $1 AND num_nulls(closed_at, open, struck) = 3`

// Then, in a later statement of the same transaction, the rows go. The condition holds exactly if every entry is settled, so
// it does no harm where someone else has settled them.
const sqlDeleteAll = `
DELETE FROM {schema}.outbox WHERE id = ANY (
  (SELECT ids FROM {schema}.outbox_attempt WHERE id = $1 AND num_nonnulls(closed_at) = 1 AND struck IS NULL)::bigint[])`

// The lease is locked before anything else and to the end of the transaction: a session that was declared dead writes
// nothing, and one that is being declared dead is not gone before this is committed. That it owns the shards is looked at for
// safety only: it gives them up when nothing of them is under way. The count is of one statement with the INSERT. Answers
// how many leases (0 or 1) stood and how many attempts were written.
const sqlDecide = `
WITH lease AS (
  SELECT 1 FROM {schema}.outbox_lease
   WHERE session = $2 AND expires_at > clock_timestamp() AND shards & $3::bigint = $3::bigint FOR KEY SHARE
), decided AS (
  INSERT INTO {schema}.outbox_attempt (id, way, session, shards, broker, address, born_at, window_s, topics, queues, read_from,
                                       ids, targets, indexes, shard, half_offsets, log_offsets, ordering_keys, dedup_keys)
  SELECT $1, $19, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18
    FROM lease
   WHERE (SELECT count(*) FROM {schema}.outbox WHERE id = ANY ($11::bigint[])) = cardinality($11::bigint[])
  RETURNING 1
)
SELECT (SELECT count(*) FROM lease), (SELECT count(*) FROM decided)`

// Write closes and then decides. Closings for All and the decisions are one round trip and one transaction; a closing that
// names single entries, or meets entries that somebody else has changed, is a transaction of its own.
func (s *Store) Write(
	ctx context.Context, session uuid.UUID, closings []relay.Closing, decisions []*relay.Attempt,
) (relay.Written, error) {
	w := relay.Written{Closed: make([]relay.Closed, len(closings)), Decided: make([]relay.Decision, len(decisions))}
	whole, single := splitClosings(closings)
	for _, i := range single {
		closed, err := s.close(ctx, session, closings[i])
		if err != nil {
			return relay.Written{}, err
		}
		w.Closed[i] = closed
	}
	missed, err := s.writeBatch(ctx, session, closings, whole, decisions, w.Decided)
	if err != nil {
		return relay.Written{}, err
	}
	for _, i := range missed {
		closed, err := s.close(ctx, session, closings[i])
		if err != nil {
			return relay.Written{}, err
		}
		w.Closed[i] = closed
	}
	return w, nil
}

// splitClosings returns the positions of closings for All and of the others. The former are in the order of their ids:
// two sessions that settle the same attempts must not wait for each other.
func splitClosings(closings []relay.Closing) (whole, single []int) {
	for i := range closings {
		if closings[i].All {
			whole = append(whole, i)
		} else {
			single = append(single, i)
		}
	}
	slices.SortFunc(whole, func(a, b int) int {
		return bytes.Compare(closings[a].Attempt[:], closings[b].Attempt[:])
	})
	return whole, single
}

// writeBatch is the good path, and returns the closings that found nothing to settle as a whole.
func (s *Store) writeBatch(
	ctx context.Context, session uuid.UUID, closings []relay.Closing, whole []int, attempts []*relay.Attempt,
	decided []relay.Decision,
) (missed []int, err error) {
	if len(whole)+len(attempts) == 0 {
		return nil, nil
	}
	batch := &pgx.Batch{}
	for _, i := range whole {
		batch.Queue(s.sql(sqlSettleAll), closings[i].Attempt[:], session)
		batch.Queue(s.sql(sqlDeleteAll), closings[i].Attempt[:])
	}
	for _, a := range attempts {
		if err := s.queueDecision(batch, session, a); err != nil {
			return nil, fmt.Errorf("decide attempt %x: %w", a.ID, err)
		}
	}
	err = s.pipeline(ctx, batch, func(results pgx.BatchResults) error {
		for _, i := range whole {
			tag, err := results.Exec()
			if err != nil {
				return fmt.Errorf("settle attempt %x: %w", closings[i].Attempt, err)
			}
			if tag.RowsAffected() == 0 {
				missed = append(missed, i)
			}
			if _, err := results.Exec(); err != nil {
				return fmt.Errorf("delete the rows of attempt %x: %w", closings[i].Attempt, err)
			}
		}
		for i, a := range attempts {
			if decided[i], err = readDecision(results); err != nil {
				return fmt.Errorf("decide attempt %x: %w", a.ID, err)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("write %d settlements and %d decisions: %w", len(whole), len(attempts), err)
	}
	return missed, nil
}

func (s *Store) queueDecision(batch *pgx.Batch, session uuid.UUID, a *relay.Attempt) error {
	l, err := newLedgerArrays(a)
	if err != nil {
		return err
	}
	seconds := int64(a.Window.Seconds())
	batch.Queue(s.sql(sqlDecide), a.ID[:], session, int64(l.mask), a.Broker, a.Address, a.Born, seconds,
		l.topics, l.queues, l.readFrom, l.ids, l.targets, l.indexes, l.shard, l.halfOffsets, l.logOffsets, l.orderingKeys,
		l.dedupKeys, string(a.Way))
	return nil
}

func readDecision(results pgx.BatchResults) (relay.Decision, error) {
	var leases, attempts int64
	if err := results.QueryRow().Scan(&leases, &attempts); err != nil {
		return 0, err
	}
	switch {
	case attempts == 1:
		return relay.DecisionMade, nil
	case leases == 0:
		return relay.DecisionNoLease, nil
	}
	return relay.DecisionRowGone, nil
}
