package postgres

import (
	"context"
	"fmt"

	"github.com/outbox-relay/outbox-relay/internal/relay"
)

// In the order of their ids: two relays that own parts of the same attempts must not wait for each other.
const sqlNoteFence = `
UPDATE {schema}.outbox_attempt a
   SET refused_at = CASE WHEN $2 <> '' THEN clock_timestamp() END, refused_by = nullif($2, '')
  FROM (SELECT id FROM {schema}.outbox_attempt WHERE id = ANY ($1::bytea[]) AND closed_at IS NULL ORDER BY id FOR UPDATE) open
 WHERE a.id = open.id`

// NoteFence dates it now that the broker's master at an address refuses commits of these attempts; "" takes it back.
func (s *Store) NoteFence(ctx context.Context, attempts []relay.AttemptID, address string) error {
	ids := make([][]byte, len(attempts))
	for i := range attempts {
		ids[i] = attempts[i][:]
	}
	if _, err := s.pool.Exec(ctx, s.sql(sqlNoteFence), ids, address); err != nil {
		return fmt.Errorf("note the fence of %d attempts: %w", len(attempts), err)
	}
	return nil
}
