package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// errNoTx is returned instead of a panic deep inside a driver.
var errNoTx = errors.New("write outbox rows: the transaction is nil")

// Write writes messages into table outbox within tx, in their order and in one round trip however many they are (the first
// call on a connection takes one more, to prepare the statement). Together they must stay below 1 GB, the most PostgreSQL
// takes in one statement. Without messages it does nothing.
//
// An *[InvalidError] means that some message breaks a rule: nothing was written and tx is as it was. Any other error is
// PostgreSQL's, or that of ctx, wrapped: tx can then only be rolled back.
func Write(ctx context.Context, tx pgx.Tx, messages ...Message) error {
	return Writer{}.Write(ctx, tx, messages...)
}

// A Writer writes into an outbox table outside the search path. The zero Writer does what [Write] and [WriteSQL] do. It may
// be copied and used concurrently.
type Writer struct {
	// Schema is the schema of table outbox, quoted where it is used. "" leaves it to the search path.
	Schema string
	// Rules are the limits that messages are held to; the relay's setting limits.profile should name the same profile.
	Rules Rules
}

// One array for each column: one statement, and so one prepared plan, for any number of messages. Identity values are given
// out after the sort, so ids follow the order of the messages. No RETURNING: it would need the SELECT privilege.
const insertArrays = `INSERT INTO %s (topic, tag, keys, ordering_key, dedup_key, headers, payload, available_at, deliver_at)
SELECT m.topic, nullif(m.tag, ''), nullif(m.keys, ''), nullif(m.ordering_key, ''), nullif(m.dedup_key, ''),
       nullif(m.headers, '')::jsonb, m.payload, m.available_at, m.deliver_at
  FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bytea[],
              $8::timestamptz[], $9::timestamptz[])
       WITH ORDINALITY AS m (topic, tag, keys, ordering_key, dedup_key, headers, payload, available_at, deliver_at, position)
 ORDER BY m.position`

// Write is [Write] for the Writer's table.
func (w Writer) Write(ctx context.Context, tx pgx.Tx, messages ...Message) error {
	if len(messages) == 0 {
		return nil
	}
	if tx == nil {
		return errNoTx
	}
	all, err := w.Rules.rows(ctx, messages)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, fmt.Sprintf(insertArrays, w.table()), arrays(all)...); err != nil {
		return fmt.Errorf("insert %d outbox rows: %w", len(all), err)
	}
	return nil
}

// table returns the quoted name of the table.
func (w Writer) table() string {
	if w.Schema == "" {
		return "outbox"
	}
	return pgx.Identifier{w.Schema, "outbox"}.Sanitize()
}

// arrays returns the arguments of insertArrays.
func arrays(all []row) []any {
	var (
		topics       = make([]string, len(all))
		tags         = make([]string, len(all))
		keys         = make([]string, len(all))
		orderingKeys = make([]string, len(all))
		dedupKeys    = make([]string, len(all))
		headers      = make([]string, len(all))
		payloads     = make([][]byte, len(all))
		availableAt  = make([]*time.Time, len(all))
		deliverAt    = make([]*time.Time, len(all))
	)
	for i, r := range all {
		topics[i], tags[i], keys[i], orderingKeys[i], dedupKeys[i] = r.topic, r.tag, r.keys, r.orderingKey, r.dedupKey
		headers[i], payloads[i], availableAt[i], deliverAt[i] = r.headers, r.payload, r.availableAt, r.deliverAt
	}
	return []any{topics, tags, keys, orderingKeys, dedupKeys, headers, payloads, availableAt, deliverAt}
}
