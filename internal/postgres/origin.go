package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/outbox-relay/outbox-relay/internal/relay"
)

// A Place is what tells one database from another: the cluster, and the database in it. A copy on the level of the disk has
// the same place, and so has the database after a point-in-time restore.
type Place struct {
	System   int64 // pg_control_system().system_identifier
	Database int64 // pg_database.oid
}

// String names the place in an error.
func (p Place) String() string { return fmt.Sprintf("database %d of cluster %d", p.Database, p.System) }

// An Origin says which outbox this is, and where.
type Origin struct {
	ID       uuid.UUID
	Recorded Place // where the outbox was made, or adopted
	Here     Place // where it is
	Created  time.Time
}

// Moved reports whether the outbox is not where it was made.
func (o Origin) Moved() bool { return o.Recorded != o.Here }

const sqlOrigin = `
SELECT origin, system_identifier, database_oid, created_at, (SELECT system_identifier FROM pg_control_system()),
       (SELECT oid::bigint FROM pg_database WHERE datname = current_database())
  FROM {schema}.outbox_origin`

// ReadOrigin returns the outbox's origin, wherever it is.
func (s *Store) ReadOrigin(ctx context.Context) (Origin, error) {
	o, err := s.readOrigin(ctx, s.pool)
	if err != nil {
		return Origin{}, fmt.Errorf("read the origin: %w", err)
	}
	return o, nil
}

// querier is a pool or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

func (s *Store) readOrigin(ctx context.Context, q querier) (Origin, error) {
	var o Origin
	err := q.QueryRow(ctx, s.sql(sqlOrigin)).Scan(&o.ID, &o.Recorded.System, &o.Recorded.Database, &o.Created,
		&o.Here.System, &o.Here.Database)
	if denied(err) {
		err = fmt.Errorf(`%w: grant what "outbox-relay grants" prints and, if it is missing, EXECUTE on the function `+
			`pg_catalog.pg_control_system(), which PostgreSQL gives to everybody`, err)
	}
	return o, err
}

// denied reports whether the role lacks a right.
func denied(err error) bool {
	const insufficientPrivilege = "42501"
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) && pgErr.Code == insufficientPrivilege
}

// Origin returns the outbox's own uuid; relay.ErrMoved, with what to do, if the database is not the one that it was made in.
func (s *Store) Origin(ctx context.Context) (uuid.UUID, error) {
	o, err := s.ReadOrigin(ctx)
	if err != nil {
		return uuid.UUID{}, err
	}
	if o.Moved() {
		return uuid.UUID{}, fmt.Errorf(`%w: it was made in %s, and this is %s. If it was moved here, by a dump or an upgrade, `+
			`and the original is gone for good, run "outbox-relay origin adopt"; if it is a copy, run "outbox-relay origin new"`,
			relay.ErrMoved, o.Recorded, o.Here)
	}
	return o.ID, nil
}

// ErrLive means that a relay holds a lease: what was asked for is done only while none runs.
var ErrLive = errors.New("a relay holds a lease")

// Under the lock no lease is inserted, renewed or taken away. A lease that has expired goes: its session could renew it.
const sqlLiveLeases = `
SELECT instance, ceil(extract(epoch FROM expires_at - clock_timestamp()))::bigint
  FROM {schema}.outbox_lease WHERE expires_at > clock_timestamp() ORDER BY expires_at DESC LIMIT 1`

const sqlDeleteLeases = `DELETE FROM {schema}.outbox_lease`

// withoutRelays runs change in a transaction in which no session can be opened, and after which none of before can go on.
// ErrLive if one is alive.
func (s *Store) withoutRelays(ctx context.Context, change func(tx pgx.Tx) error) error {
	return s.operate(ctx, func(tx pgx.Tx) error {
		var instance string
		var seconds int64
		err := tx.QueryRow(ctx, s.sql(sqlLiveLeases)).Scan(&instance, &seconds)
		switch {
		case err == nil:
			return fmt.Errorf("%w: %s, for another %d s at least. Stop every relay; leases that came with a dump run out by themselves",
				ErrLive, instance, seconds)
		case !errors.Is(err, pgx.ErrNoRows):
			return fmt.Errorf("look for leases: %w", err)
		}
		if _, err := tx.Exec(ctx, s.sql(sqlDeleteLeases)); err != nil {
			return fmt.Errorf("delete expired leases: %w", err)
		}
		return change(tx)
	})
}

// operate runs an operator's change under the lock on the leases. Nobody waits for it as for a relay, so it may take long.
func (s *Store) operate(ctx context.Context, change func(tx pgx.Tx) error) error {
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SET LOCAL statement_timeout = 0`); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, s.sql(sqlLockLeases)); err != nil {
			return fmt.Errorf("lock the leases: %w", err)
		}
		return change(tx)
	})
	if denied(err) {
		return fmt.Errorf("%w: run it as the owner of the tables, as migrate up", err)
	}
	return err
}

const sqlAdopt = `UPDATE {schema}.outbox_origin SET system_identifier = $1, database_oid = $2`

// AdoptOrigin records that the outbox is here now. Everything else stays: the origin, the rows, the open attempts, which the
// next relay resolves. It returns the origin as it was. ErrLive while a relay is alive.
func (s *Store) AdoptOrigin(ctx context.Context) (Origin, error) {
	var was Origin
	err := s.withoutRelays(ctx, func(tx pgx.Tx) (err error) {
		if was, err = s.readOrigin(ctx, tx); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, s.sql(sqlAdopt), was.Here.System, was.Here.Database)
		return err
	})
	if err != nil {
		return Origin{}, fmt.Errorf("adopt the outbox: %w", err)
	}
	return was, nil
}
