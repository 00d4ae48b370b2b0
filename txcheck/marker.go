package txcheck

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// MarkerProperty is the user property of a half message that holds the id of its transaction: [Markers.NewID].
const MarkerProperty = "txcheck-id"

// Errors that say why Markers decided nothing. They are wrapped.
var (
	// ErrForeign: the half is not of this database, or carries no id of ours. Another program shares the producer group.
	ErrForeign = errors.New("not a transaction of this database")
	// ErrTooOld: the id is older than half the retention, so its marker may have been removed.
	ErrTooOld = errors.New("older than half the retention")
	// ErrDecided: the transaction was committed before, or Rollback was answered. It cannot commit (again).
	ErrDecided = errors.New("already decided")
	// ErrStandby: the database is a standby, which may not have the marker yet.
	ErrStandby = errors.New("the database is a standby; the primary must be asked")
)

// The defaults of MarkerOptions.
const (
	DefaultGrace     = 10 * time.Second
	DefaultRetention = 7 * 24 * time.Hour
	DefaultLockWait  = 200 * time.Millisecond
	DefaultTimeout   = 5 * time.Second
)

// MarkerOptions are what Markers need to know.
type MarkerOptions struct {
	// Database is the URL of the primary of the database that the transactions run in. Required. Markers open up to two
	// connections of their own, because a checker that waits for a busy pool makes the broker give up.
	Database string
	// Schema is where outbox_marker lies; "" leaves it to the search path.
	Schema string
	// Grace is how old an id must be before the checker makes sure that its transaction cannot commit any more. It only has to
	// cover the time from the half message to the first statement of the transaction: a transaction that has begun is waited
	// for however long it takes. Default: 10 s.
	Grace time.Duration
	// Retention is how long markers are kept: at least twice as long as a broker may ask about a half message, which is its
	// fileReservedTime, 72 h by default. All programs of one database need the same. Default: 7 days.
	Retention time.Duration
	// LockWait is how long a check waits for a transaction that is still running before it answers Unknown. Default: 200 ms.
	LockWait time.Duration
	// Timeout ends a check that PostgreSQL does not answer. Default: 5 s.
	Timeout time.Duration
}

// Markers are the transactions of an application that sends half messages itself. They are safe for concurrent use.
type Markers struct {
	o      MarkerOptions
	pool   *pgxpool.Pool
	origin string
	sql    markerSQL
}

// OpenMarkers connects to the database and reads which one it is. Close the Markers after use.
func OpenMarkers(ctx context.Context, o MarkerOptions) (*Markers, error) {
	config, err := o.complete()
	if err != nil {
		return nil, fmt.Errorf("transaction markers: %w", err)
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("transaction markers: %w", err)
	}
	m := &Markers{o: o, pool: pool, sql: newMarkerSQL(o.Schema)}
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	// The second column fails where the table is missing or may not be read.
	var some bool
	if err := pool.QueryRow(ctx, m.sql.origin).Scan(&m.origin, &some); err != nil {
		pool.Close()
		return nil, fmt.Errorf("transaction markers: read outbox_origin and outbox_marker "+
			`("outbox-relay migrate up" makes them, "outbox-relay grants" says who may): %w`, err)
	}
	return m, nil
}

// Close closes the connections.
func (m *Markers) Close() { m.pool.Close() }

// complete fills the defaults in and reports every option that is wrong.
func (o *MarkerOptions) complete() (*pgxpool.Config, error) {
	fill := func(d *time.Duration, value time.Duration) {
		if *d == 0 {
			*d = value
		}
	}
	fill(&o.Grace, DefaultGrace)
	fill(&o.Retention, DefaultRetention)
	fill(&o.LockWait, DefaultLockWait)
	fill(&o.Timeout, DefaultTimeout)
	var errs []error
	for _, d := range []struct {
		name  string
		value time.Duration
		least time.Duration
	}{
		{"grace", o.Grace, 0},
		{"retention", o.Retention, time.Minute},
		{"lock wait", o.LockWait, time.Millisecond},
		{"timeout", o.Timeout, time.Millisecond},
	} {
		if d.value < d.least {
			errs = append(errs, fmt.Errorf("%s: must be at least %s, is %s", d.name, d.least, d.value))
		}
	}
	if o.Grace >= o.Retention/2 {
		errs = append(errs, fmt.Errorf("grace: must be below half the retention (%s), is %s", o.Retention/2, o.Grace))
	}
	if o.LockWait >= o.Timeout {
		errs = append(errs, fmt.Errorf("lock wait: must be below the timeout (%s), is %s", o.Timeout, o.LockWait))
	}
	if o.Database == "" {
		return nil, errors.Join(append(errs, errors.New("database: must be set"))...)
	}
	config, err := pgxpool.ParseConfig(o.Database)
	if err != nil {
		return nil, errors.Join(append(errs, fmt.Errorf("database: %w", err))...)
	}
	config.MaxConns = 2
	config.ConnConfig.ConnectTimeout = o.Timeout
	return config, errors.Join(errs...)
}

// markerSQL are the statements, with the names of the tables filled in.
type markerSQL struct {
	origin, look, mark, tombstone, read, purge string
}

func newMarkerSQL(schema string) markerSQL {
	table := func(name string) string {
		if schema == "" {
			return name
		}
		return pgx.Identifier{schema, name}.Sanitize()
	}
	markers, origin := table("outbox_marker"), table("outbox_origin")
	return markerSQL{
		origin: `SELECT origin::text, EXISTS (SELECT FROM ` + markers + `) FROM ` + origin,
		// Settings for the transaction only: a pooler may stand in between. The last two keep a checker that is frozen, or that
		// trusts an answer which a crash takes back, from doing harm.
		look: `SELECT o.origin::text, pg_is_in_recovery(), clock_timestamp(), m.committed,
       set_config('lock_timeout', $2, true), set_config('statement_timeout', $3, true),
       set_config('idle_in_transaction_session_timeout', $3, true),
       set_config('synchronous_commit', ` + durable + `, true)
  FROM ` + origin + ` o LEFT JOIN ` + markers + ` m ON m.id = $1`,
		// One statement, for drivers of every kind. set_config is never null: the value is true.
		mark: `INSERT INTO ` + markers + ` (id, committed)
SELECT $1::uuid, set_config('synchronous_commit', ` + durable + `, true) IS NOT NULL
  FROM ` + origin + ` WHERE origin = $2::uuid AND clock_timestamp() < $3::timestamptz`,
		tombstone: `INSERT INTO ` + markers + ` (id, committed) VALUES ($1, false) ON CONFLICT DO NOTHING`,
		read:      `UPDATE ` + markers + ` SET asked_at = now() WHERE id = $1 RETURNING committed`,
		purge:     `DELETE FROM ` + markers + ` WHERE id < $1`,
	}
}

// durable is at least "on": what a broker was told must not be taken back by a crash of PostgreSQL.
const durable = `CASE WHEN current_setting('synchronous_commit') IN ('off', 'local', 'remote_write')
            THEN 'on' ELSE current_setting('synchronous_commit') END`
