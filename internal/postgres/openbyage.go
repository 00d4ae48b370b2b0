package postgres

import (
	"context"
	"fmt"
	"time"
)

// Through outbox_attempt_open. width_bucket gives 0 below the first bound and the number of bounds at or above the last.
const sqlOpenByAge = `
SELECT width_bucket(extract(epoch FROM clock_timestamp() - decided_at)::float8, $1::float8[]),
       sum(coalesce(cardinality(open), cardinality(ids)))::bigint
  FROM {schema}.outbox_attempt WHERE closed_at IS NULL GROUP BY 1`

// OpenByAge counts the open entries of the ledger by the age of their attempt: those younger than ends[0], than ends[1] and so
// on, and in the last place the rest. ends must ascend.
func (s *Store) OpenByAge(ctx context.Context, ends []time.Duration) ([]int64, error) {
	bounds := make([]float64, len(ends))
	for i, end := range ends {
		bounds[i] = end.Seconds()
	}
	counts := make([]int64, len(ends)+1)
	rows, err := s.pool.Query(ctx, s.sql(sqlOpenByAge), bounds)
	if err != nil {
		return nil, fmt.Errorf("count open messages by age: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var class int
		var n int64
		if err := rows.Scan(&class, &n); err != nil {
			return nil, fmt.Errorf("count open messages by age: %w", err)
		}
		counts[class] = n
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("count open messages by age: %w", err)
	}
	return counts, nil
}
