package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/outbox-relay/outbox-relay/internal/relay"
)

// The predecessor of the same instance may be alive and in the middle of a decision; the DELETE waits for its lock. The
// expiry is compared with the clock, not with the start of the transaction: a lease that was renewed while the DELETE waited
// is looked at again and left alone. The order keeps two relays from waiting for each other.
const sqlBury = `
DELETE FROM {schema}.outbox_lease WHERE session IN (
  SELECT session FROM {schema}.outbox_lease
   WHERE instance = $1 OR expires_at < clock_timestamp() ORDER BY session FOR UPDATE)`

const sqlOpenSession = `
INSERT INTO {schema}.outbox_lease (session, instance, client_id, version, expires_at)
VALUES ($1, $2, $3, $4, clock_timestamp() + $5::bigint * interval '1 microsecond')`

// OpenSession declares dead every earlier session of the same instance and every expired one, and inserts the lease of s
// with no shards.
func (s *Store) OpenSession(ctx context.Context, session relay.Session, lease time.Duration) error {
	if session.Instance == "" {
		return errors.New("open session: the instance has no name")
	}
	batch := &pgx.Batch{}
	batch.Queue(sqlEndFrozen)
	batch.Queue(s.sql(sqlBury), session.Instance)
	batch.Queue(s.sql(sqlOpenSession), session.ID, session.Instance, session.ClientID, session.Version, lease.Microseconds())
	err := s.pipeline(ctx, batch, func(results pgx.BatchResults) error {
		if _, err := results.Exec(); err != nil {
			return fmt.Errorf("end frozen backends: %w", err)
		}
		if _, err := results.Exec(); err != nil {
			return fmt.Errorf("declare predecessors dead: %w", err)
		}
		_, err := results.Exec()
		return err
	})
	if err != nil {
		return fmt.Errorf("open session %s: %w", session.ID, err)
	}
	return nil
}

// A plain UPDATE of columns outside the key does not conflict with the FOR KEY SHARE of a decision under way. A lease that
// has expired but stands may be renewed: nobody can have taken its shards.
const sqlRenew = `
UPDATE {schema}.outbox_lease
   SET renewed_at = clock_timestamp(), expires_at = clock_timestamp() + $2::bigint * interval '1 microsecond'
 WHERE session = $1`

// SKIP LOCKED: two relays that wake up late together, each renewing its own row, must not wait for each other; and an
// expired session that is just now deciding is left for the next renewal.
const sqlBuryExpired = `
DELETE FROM {schema}.outbox_lease WHERE expires_at < clock_timestamp() AND session IN (
  SELECT session FROM {schema}.outbox_lease
   WHERE expires_at < clock_timestamp() AND session <> $1 ORDER BY session FOR UPDATE SKIP LOCKED)`

// RenewSession extends the lease and deletes the leases of others that have expired. relay.ErrSessionOver if the lease is
// gone.
func (s *Store) RenewSession(ctx context.Context, id uuid.UUID, lease time.Duration) error {
	batch := &pgx.Batch{}
	batch.Queue(s.sql(sqlRenew), id, lease.Microseconds())
	batch.Queue(s.sql(sqlBuryExpired), id)
	batch.Queue(sqlEndFrozen)
	var renewed bool
	err := s.pipeline(ctx, batch, func(results pgx.BatchResults) error {
		tag, err := results.Exec()
		if err != nil {
			return err
		}
		renewed = tag.RowsAffected() == 1
		if _, err := results.Exec(); err != nil {
			return fmt.Errorf("declare expired sessions dead: %w", err)
		}
		_, err = results.Exec()
		return err
	})
	if err != nil {
		return fmt.Errorf("renew session %s: %w", id, err)
	}
	if !renewed {
		return fmt.Errorf("renew session %s: %w", id, relay.ErrSessionOver)
	}
	return nil
}

const sqlCloseSession = `DELETE FROM {schema}.outbox_lease WHERE session = $1`

// CloseSession deletes the lease. It waits for a decision of the session that is under way.
func (s *Store) CloseSession(ctx context.Context, id uuid.UUID) error {
	if _, err := s.pool.Exec(ctx, s.sql(sqlCloseSession), id); err != nil {
		return fmt.Errorf("close session %s: %w", id, err)
	}
	return nil
}

// A Lease is one row of the lease table, for people.
type Lease struct {
	Session  uuid.UUID
	Instance string
	ClientID string
	Version  string
	Shards   uint64
	Started  time.Time
	Renewed  time.Time
	Left     time.Duration // until it expires, by the database's clock; negative = expired
}

const sqlLeases = `
SELECT session, instance, client_id, version, shards, started_at, renewed_at,
       (extract(epoch FROM expires_at - clock_timestamp()) * 1000000)::bigint
  FROM {schema}.outbox_lease ORDER BY started_at, session`

// Leases returns every session's lease, expired ones included, oldest first.
func (s *Store) Leases(ctx context.Context) ([]Lease, error) {
	rows, err := s.pool.Query(ctx, s.sql(sqlLeases))
	if err != nil {
		return nil, fmt.Errorf("read the leases: %w", err)
	}
	leases, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Lease, error) {
		var l Lease
		var shards, left int64
		err := row.Scan(&l.Session, &l.Instance, &l.ClientID, &l.Version, &shards, &l.Started, &l.Renewed, &left)
		l.Shards = uint64(shards)
		l.Left = time.Duration(left) * time.Microsecond
		return l, err
	})
	if err != nil {
		return nil, fmt.Errorf("read the leases: %w", err)
	}
	return leases, nil
}
