package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// A DeadSelection says which dead letters are meant. What is not set selects nothing away.
type DeadSelection struct {
	IDs       []int64
	Topic     string
	Key       string // ordering key
	Reasons   []string
	OlderThan time.Duration // died at least so long ago, by the database's clock
	NewerThan time.Duration // died less long ago
}

// A DeadGroup is how many letters of one reason a topic has.
type DeadGroup struct {
	Reason string
	Topic  string
	Rows   int64
	Keys   int64 // ordering keys that they hold up
	Bytes  int64
	Oldest time.Time // died
	Newest time.Time
}

// A DeadRow is a dead letter without what is long in it. Texts are cut.
type DeadRow struct {
	ID       int64
	Created  pgtype.Timestamptz // the application can write an infinite one
	Died     time.Time
	Topic    string
	Key      string
	Reason   string
	Status   string
	Broker   string
	Error    string
	Attempts int16
	Size     int64 // of the payload
	Blocks   bool  // its ordering key waits for it
}

// A DeadLetter is a dead letter with everything but most of its payload.
type DeadLetter struct {
	DeadRow
	Tag       *string
	Keys      *string
	DedupKey  *string
	Headers   []byte // JSON; nil = none
	DeliverAt pgtype.Timestamptz
	Head      []byte // the payload, up to what was asked for
	SHA256    []byte // of the whole payload
}

const sqlDeadWhere = `
 WHERE ($1::bigint[] IS NULL OR d.id = ANY ($1)) AND ($2 = '' OR d.topic = $2) AND ($3 = '' OR d.ordering_key = $3)
   AND ($4::text[] IS NULL OR d.reason = ANY ($4))
   AND ($5::bigint = 0 OR d.died_at <= clock_timestamp() - $5 * interval '1 microsecond')
   AND ($6::bigint = 0 OR d.died_at > clock_timestamp() - $6 * interval '1 microsecond')`

func (d DeadSelection) args(more ...any) []any {
	return append([]any{d.IDs, d.Topic, d.Key, d.Reasons, d.OlderThan.Microseconds(), d.NewerThan.Microseconds()}, more...)
}

// What is far too long died of that, and is cut here.
const sqlDeadRow = `d.id, d.created_at, d.died_at, left(d.topic, 250), coalesce(left(d.ordering_key, 250), ''), d.reason, coalesce(d.status, ''),
       coalesce(d.broker, ''), left(d.error, 4000), d.attempts, octet_length(d.payload),
       coalesce(d.ordering_key, '') <> '' AND coalesce(t.on_dead, 'block') = 'block'`

const sqlDeadFrom = `
  FROM {schema}.outbox_dead d LEFT JOIN {schema}.outbox_topic t ON t.topic = d.topic`

func (r *DeadRow) fields() []any {
	return []any{&r.ID, &r.Created, &r.Died, &r.Topic, &r.Key, &r.Reason, &r.Status, &r.Broker, &r.Error, &r.Attempts, &r.Size, &r.Blocks}
}

const sqlDeadGroups = `
SELECT d.reason, left(d.topic, 250), count(*),
       count(DISTINCT md5(d.ordering_key)) FILTER (WHERE d.ordering_key <> '' AND coalesce(t.on_dead, 'block') = 'block'),
       sum(octet_length(d.payload))::bigint, min(d.died_at), max(d.died_at)` + sqlDeadFrom + sqlDeadWhere + `
 GROUP BY 1, 2 ORDER BY 1, 2`

// DeadGroups counts the selected letters by reason and topic.
func (s *Store) DeadGroups(ctx context.Context, d DeadSelection) ([]DeadGroup, error) {
	rows, err := s.pool.Query(ctx, s.sql(sqlDeadGroups), d.args()...)
	if err != nil {
		return nil, fmt.Errorf("count the dead letters: %w", err)
	}
	groups, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (g DeadGroup, err error) {
		return g, row.Scan(&g.Reason, &g.Topic, &g.Rows, &g.Keys, &g.Bytes, &g.Oldest, &g.Newest)
	})
	if err != nil {
		return nil, fmt.Errorf("count the dead letters: %w", err)
	}
	return groups, nil
}

const sqlDeadRows = `
SELECT ` + sqlDeadRow + sqlDeadFrom + sqlDeadWhere + `
 ORDER BY d.id LIMIT $7`

// DeadRows returns the selected letters in the order of their ids, at most limit of them.
func (s *Store) DeadRows(ctx context.Context, d DeadSelection, limit int) ([]DeadRow, error) {
	rows, err := s.pool.Query(ctx, s.sql(sqlDeadRows), d.args(limit)...)
	if err != nil {
		return nil, fmt.Errorf("list the dead letters: %w", err)
	}
	letters, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r DeadRow, err error) {
		return r, row.Scan(r.fields()...)
	})
	if err != nil {
		return nil, fmt.Errorf("list the dead letters: %w", err)
	}
	return letters, nil
}

// ErrNoLetter means that no dead letter has the id.
var ErrNoLetter = errors.New("no dead letter has this id")

const sqlDeadLetter = `
SELECT ` + sqlDeadRow + `, left(d.tag, 4000), left(d.keys, 4000), left(d.dedup_key, 4000), left(d.headers::text, 300000), d.deliver_at,
       substring(d.payload FROM 1 FOR $2), sha256(d.payload)` + sqlDeadFrom + `
 WHERE d.id = $1`

// DeadLetter returns one letter, with the first bytes of its payload.
func (s *Store) DeadLetter(ctx context.Context, id int64, head int) (l DeadLetter, err error) {
	err = s.pool.QueryRow(ctx, s.sql(sqlDeadLetter), id, head).Scan(append(l.fields(),
		&l.Tag, &l.Keys, &l.DedupKey, &l.Headers, &l.DeliverAt, &l.Head, &l.SHA256)...)
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrNoLetter
	}
	if err != nil {
		return l, fmt.Errorf("read dead letter %d: %w", id, err)
	}
	return l, nil
}

// payloadPart is how much of a payload is read at once: a column can hold a gigabyte.
const payloadPart = 8 << 20

// DeadPayload calls write with the payload of a letter, part by part, as of one moment.
func (s *Store) DeadPayload(ctx context.Context, id int64, write func([]byte) error) error {
	err := pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		for from := int64(1); ; from += payloadPart {
			var part []byte
			err := tx.QueryRow(ctx, s.sql(`SELECT substring(payload FROM $2::integer FOR $3::integer) FROM {schema}.outbox_dead WHERE id = $1`),
				id, from, payloadPart).Scan(&part)
			if errors.Is(err, pgx.ErrNoRows) {
				return ErrNoLetter
			}
			if err != nil || len(part) == 0 {
				return err
			}
			if err := write(part); err != nil {
				return err
			}
		}
	})
	if err != nil {
		return fmt.Errorf("read the payload of dead letter %d: %w", id, err)
	}
	return nil
}
