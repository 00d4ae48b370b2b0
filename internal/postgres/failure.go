package postgres

import (
	"context"
	"fmt"
	"math"

	"github.com/google/uuid"

	"github.com/outbox-relay/outbox-relay/internal/relay"
)

// Parked is a delay without end: the row stays put off until another PutOff releases it.
const Parked = math.MaxInt64

// Both statements lock the lease as a decision does, and write only while it stands. A row that is gone is left at that.
// Answers how many leases (0 or 1) stood.
const sqlPutOff = `
WITH lease AS (
  SELECT 1 FROM {schema}.outbox_lease WHERE session = $1 AND expires_at > clock_timestamp() FOR KEY SHARE
), put AS (
  UPDATE {schema}.outbox o
     SET attempts = least(o.attempts::integer + f.counted, 32767),
         last_error = coalesce(nullif(f.error, ''), o.last_error),
         available_at = CASE WHEN f.delay < 0 THEN 'infinity' ELSE now() + f.delay * interval '1 microsecond' END
    FROM lease, unnest($2::bigint[], $3::bigint[], $4::text[], $5::smallint[]) AS f (id, delay, error, counted)
   WHERE o.id = f.id
)
SELECT count(*) FROM lease`

// PutOff sets available_at, last_error and, where counted, attempts. relay.ErrSessionOver if the lease is gone.
func (s *Store) PutOff(ctx context.Context, session uuid.UUID, failures []relay.Failure) error {
	f := newFailureArrays(failures)
	err := s.underLease(ctx, sqlPutOff, session, f.ids, f.delays, f.errors, f.counted)
	if err != nil {
		return fmt.Errorf("put off %d rows: %w", len(failures), err)
	}
	return nil
}

// A row that was put back by hand while its dead letter was left there cannot have another. It is parked: neither of the two
// payloads is lost, and what is wrong is in last_error. The ids are given as arrays: joined with a list, the whole outbox was
// compared with it where statistics were wrong.
const sqlBuryRows = `
WITH lease AS (
  SELECT 1 FROM {schema}.outbox_lease WHERE session = $1 AND expires_at > clock_timestamp() FOR KEY SHARE
), there AS (
  SELECT ARRAY (SELECT id FROM {schema}.outbox_dead WHERE id = ANY ($2::bigint[])) AS ids
), f AS MATERIALIZED (
  SELECT * FROM unnest($2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::smallint[]) AS f (id, reason, error, status, broker, counted)
), d AS (
  DELETE FROM {schema}.outbox o
   USING lease
   WHERE o.id = ANY ($2::bigint[]) AND o.id <> ALL ((SELECT ids FROM there)::bigint[])
  RETURNING o.*
), dead AS (
  INSERT INTO {schema}.outbox_dead (id, created_at, deliver_at, shard, attempts, topic, tag, keys, ordering_key, dedup_key,
                                    headers, payload, reason, error, status, broker)
  SELECT id, created_at, deliver_at, shard, least(attempts::integer + counted, 32767), topic, tag, keys, ordering_key, dedup_key,
         headers, payload, reason, error, nullif(status, ''), nullif(broker, '')
    FROM d JOIN f USING (id)
), parked AS (
  UPDATE {schema}.outbox o
     SET available_at = 'infinity',
         last_error = (SELECT f.reason || ': ' || f.error FROM f WHERE f.id = o.id) || ' (not moved: outbox_dead has a row of this id)'
    FROM lease
   WHERE o.id = ANY ((SELECT ids FROM there)::bigint[])
)
SELECT count(*) FROM lease`

// Bury moves rows to the dead letters. relay.ErrSessionOver if the lease is gone.
func (s *Store) Bury(ctx context.Context, session uuid.UUID, failures []relay.Failure) error {
	f := newFailureArrays(failures)
	err := s.underLease(ctx, sqlBuryRows, session, f.ids, f.reasons, f.errors, f.statuses, f.brokers, f.counted)
	if err != nil {
		return fmt.Errorf("bury %d rows: %w", len(failures), err)
	}
	return nil
}

func (s *Store) underLease(ctx context.Context, statement string, args ...any) error {
	var leases int64
	if err := s.pool.QueryRow(ctx, s.sql(statement), args...).Scan(&leases); err != nil {
		return err
	}
	if leases == 0 {
		return relay.ErrSessionOver
	}
	return nil
}

type failureArrays struct {
	ids      []int64
	delays   []int64 // microseconds, -1 = parked
	reasons  []string
	errors   []string
	brokers  []string
	counted  []int16 // 0 or 1
	statuses []string
}

func newFailureArrays(failures []relay.Failure) failureArrays {
	n := len(failures)
	f := failureArrays{
		ids: make([]int64, n), delays: make([]int64, n), reasons: make([]string, n), errors: make([]string, n),
		brokers: make([]string, n), counted: make([]int16, n), statuses: make([]string, n),
	}
	for i, failure := range failures {
		f.ids[i] = failure.Row
		f.reasons[i] = string(failure.Reason)
		f.errors[i] = failure.Error
		f.brokers[i] = failure.Broker
		f.statuses[i] = failure.Status
		f.delays[i] = failure.Delay.Microseconds()
		if failure.Delay == Parked {
			f.delays[i] = -1
		}
		if failure.Counted {
			f.counted[i] = 1
		}
	}
	return f
}
