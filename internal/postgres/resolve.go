package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/outbox-relay/outbox-relay/internal/relay"
)

// An OpenEntry is one message whose outcome is not written yet, for people.
type OpenEntry struct {
	Attempt  relay.AttemptID
	Way      relay.Way
	Position int // in the ledger row
	Entry    relay.Entry
	Target   relay.Target
	Broker   string
	Address  string // of the master that stored the half
	Born     time.Time
	Window   time.Duration
	Age      time.Duration // since it was born or decided, whatever is later, by the database's clock
	Session  uuid.UUID
	Alive    bool // the session that decided it has a lease
}

// UniqKey returns the UNIQ_KEY of the entry's message.
func (e OpenEntry) UniqKey() string { return e.Attempt.UniqKey(e.Entry.Index) }

// Half says where the entry's half message lies.
func (e OpenEntry) Half() relay.StoredHalf {
	return relay.StoredHalf{
		Topic: e.Target.Topic, UniqKey: e.UniqKey(), HalfOffset: e.Entry.HalfOffset, LogOffset: e.Entry.LogOffset,
	}
}

// The later of two clocks counts: born_at is the relay's.
const ageOfAttempt = `(extract(epoch FROM clock_timestamp() - greatest(born_at, decided_at)) * 1000000)::bigint`

const sqlOpenEntries = `
SELECT ` + sqlOpen + `, session, ` + ageOfAttempt + `,
       EXISTS (SELECT FROM {schema}.outbox_lease l WHERE l.session = a.session AND l.expires_at > clock_timestamp())
  FROM {schema}.outbox_attempt a
 WHERE closed_at IS NULL
 ORDER BY decided_at, id`

// OpenEntries returns every open entry of the ledger, the oldest attempt first.
func (s *Store) OpenEntries(ctx context.Context) ([]OpenEntry, error) {
	return s.openEntries(ctx, s.pool)
}

func (s *Store) openEntries(ctx context.Context, q querier) ([]OpenEntry, error) {
	rows, err := q.Query(ctx, s.sql(sqlOpenEntries))
	if err != nil {
		return nil, fmt.Errorf("list open entries: %w", err)
	}
	defer rows.Close()
	var entries []OpenEntry
	for rows.Next() {
		var session uuid.UUID
		var age int64
		var alive bool
		a, err := scanOpen(rows, ^uint64(0), &session, &age, &alive)
		if err != nil {
			return nil, fmt.Errorf("list open entries: %w", err)
		}
		for i, e := range a.Entries {
			entries = append(entries, OpenEntry{
				Attempt: a.ID, Way: a.Way, Position: a.Positions[i], Entry: e, Target: a.Targets[e.Target], Broker: a.Broker, Address: a.Address,
				Born: a.Born, Window: a.Window, Age: time.Duration(age) * time.Microsecond, Session: session, Alive: alive,
			})
		}
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list open entries: %w", err)
	}
	return entries, nil
}

// ErrTooEarly means that the broker may still accept the commit of an entry.
var ErrTooEarly = errors.New("the window is not over")

const sqlAgeOfAttempt = `SELECT window_s, ` + ageOfAttempt + ` FROM {schema}.outbox_attempt WHERE id = $1`

// Resolve closes entries of one attempt on an operator's word, by the rule that holds for relays too: entries change once, under
// the ledger row's lock, and rows are deleted after that. It returns how many of the named entries it has changed; the others
// were closed before. ErrTooEarly unless the window has been over for margin, by the database's clock.
func (s *Store) Resolve(ctx context.Context, by uuid.UUID, c relay.Closing, margin time.Duration) (changed int, err error) {
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		var was ledgerState
		err := tx.QueryRow(ctx, s.sql(sqlLockAttempt), c.Attempt[:]).Scan(&was.closed, &was.open, &was.struck, &was.ids)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil // purged, and so closed
		}
		if err != nil {
			return fmt.Errorf("lock the attempt: %w", err)
		}
		var seconds, age int64
		if err := tx.QueryRow(ctx, s.sql(sqlAgeOfAttempt), c.Attempt[:]).Scan(&seconds, &age); err != nil {
			return fmt.Errorf("read the age of the attempt: %w", err)
		}
		left := time.Duration(seconds)*time.Second + margin - time.Duration(age)*time.Microsecond
		if left > 0 {
			return fmt.Errorf("%w for another %s", ErrTooEarly, left.Round(time.Millisecond))
		}
		m, err := was.move(c)
		if err != nil || !m.changed {
			return err
		}
		states := was.states()
		for _, i := range slices.Concat(c.Settled, c.Struck) {
			if states[i] == relay.EntryOpen {
				changed++
			}
		}
		return s.apply(ctx, tx, by, c.Attempt, m)
	})
	if err != nil {
		return 0, fmt.Errorf("resolve entries of attempt %s: %w", c.Attempt, err)
	}
	return changed, nil
}
