package postgres

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/outbox-relay/outbox-relay/internal/relay"
)

// Requeueing and discarding dead letters. Relays may run: neither takes a lock that one waits for. A letter that is requeued is
// put off until now, so the look for due rows finds it, and its key waits for it in every session that reads the tables: those
// behind it stay behind it. One that is discarded frees its key when a relay next looks whether it is still there.

// A DeadPlan is what requeueing or discarding a selection means, before it is done.
type DeadPlan struct {
	Groups []DeadGroup
	// Missing are ids that were named and are in no selected letter; of them, Pending are rows of the outbox.
	Missing, Pending []int64
	// Behind are letters whose ordering key has an earlier one that is not selected, and Before those earlier ones. In a topic
	// whose dead rows block, they would wait for it in the outbox.
	Behind, Before []int64
	// Twice are letters of which the outbox has a row with the same id: put back by hand.
	Twice []int64

	at    time.Time // what is requeued is available from here on, all of it
	ids   []int64   // in order
	sizes []int64
}

// Rows returns how many letters are selected.
func (p DeadPlan) Rows() int { return len(p.ids) }

// IDs returns the ids of the selected letters, in order.
func (p DeadPlan) IDs() []int64 { return p.ids }

const sqlDeadPlan = `SELECT d.id, octet_length(d.payload), clock_timestamp() FROM {schema}.outbox_dead d` + sqlDeadWhere + ` ORDER BY d.id`

// Keys are compared by their digests: one that died of its length can be very long.
const sqlDeadKeys = `
SELECT d.id, md5(d.topic) || md5(d.ordering_key)` + sqlDeadFrom + `
 WHERE coalesce(d.ordering_key, '') <> '' AND coalesce(t.on_dead, 'block') = 'block'
 ORDER BY d.id`

const sqlWhichPending = `SELECT id FROM {schema}.outbox WHERE id = ANY ($1::bigint[]) ORDER BY id`

// PlanDead looks what a selection means. It changes nothing.
func (s *Store) PlanDead(ctx context.Context, d DeadSelection) (p DeadPlan, err error) {
	err = pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		return s.planDead(ctx, tx, d, &p)
	})
	if err != nil {
		return DeadPlan{}, fmt.Errorf("look at the dead letters: %w", err)
	}
	return p, nil
}

func (s *Store) planDead(ctx context.Context, tx pgx.Tx, d DeadSelection, p *DeadPlan) error {
	var id, size int64
	rows, err := tx.Query(ctx, s.sql(sqlDeadPlan), d.args()...)
	if err != nil {
		return err
	}
	_, err = pgx.ForEachRow(rows, []any{&id, &size, &p.at}, func() error {
		p.ids, p.sizes = append(p.ids, id), append(p.sizes, size)
		return nil
	})
	if err != nil {
		return err
	}
	for _, id := range slices.Compact(slices.Sorted(slices.Values(d.IDs))) {
		if _, found := slices.BinarySearch(p.ids, id); !found {
			p.Missing = append(p.Missing, id)
		}
	}
	if p.Pending, err = s.pendingOf(ctx, tx, p.Missing); err != nil {
		return err
	}
	if p.Twice, err = s.pendingOf(ctx, tx, p.ids); err != nil {
		return err
	}
	if rows, err = tx.Query(ctx, s.sql(sqlDeadGroups), DeadSelection{IDs: p.ids}.args()...); err != nil {
		return err
	}
	p.Groups, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (g DeadGroup, err error) {
		return g, row.Scan(&g.Reason, &g.Topic, &g.Rows, &g.Keys, &g.Bytes, &g.Oldest, &g.Newest)
	})
	if err != nil || len(p.ids) == 0 {
		return err
	}
	return s.planOrder(ctx, tx, p)
}

func (s *Store) pendingOf(ctx context.Context, tx pgx.Tx, ids []int64) ([]int64, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	rows, err := tx.Query(ctx, s.sql(sqlWhichPending), ids)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int64])
}

// planOrder looks which letters have an earlier one of their key that is not selected.
func (s *Store) planOrder(ctx context.Context, tx pgx.Tx, p *DeadPlan) error {
	rows, err := tx.Query(ctx, s.sql(sqlDeadKeys))
	if err != nil {
		return err
	}
	var id int64
	var key string
	left := make(map[string]int64) // the first letter of a key that is not selected
	_, err = pgx.ForEachRow(rows, []any{&id, &key}, func() error {
		_, selected := slices.BinarySearch(p.ids, id)
		first, waits := left[key]
		switch {
		case selected && waits:
			p.Behind, p.Before = append(p.Behind, id), append(p.Before, first)
		case !selected && !waits:
			left[key] = id
		}
		return nil
	})
	slices.Sort(p.Before)
	p.Before = slices.Compact(p.Before)
	return err
}

// A change goes in steps of so many letters or bytes, each a transaction of its own: a relay's reads look at what a long one
// has inserted again and again, and every statement must be answered in time.
const (
	deadStepRows  = 500
	deadStepBytes = 32 << 20
)

// Attempts start anew. The id, and with it the order and the default deduplication key, stays; created_at too.
const sqlRequeue = `
WITH locked AS MATERIALIZED (
  SELECT id FROM {schema}.outbox_dead WHERE id = ANY ($1::bigint[]) ORDER BY id FOR UPDATE
), letter AS (
  DELETE FROM {schema}.outbox_dead d USING locked l WHERE d.id = l.id RETURNING d.*
), back AS (
  INSERT INTO {schema}.outbox (id, created_at, available_at, deliver_at, topic, tag, keys, ordering_key, dedup_key, headers, payload, last_error)
  OVERRIDING SYSTEM VALUE
  SELECT id, created_at, $2, deliver_at, topic, tag, keys, ordering_key, dedup_key, headers, payload,
         left('requeued; before: ' || reason || ': ' || error, 4000)
    FROM letter ORDER BY id
  RETURNING id
)
SELECT count(*) FROM back`

const sqlDiscardDead = `
WITH locked AS MATERIALIZED (
  SELECT id FROM {schema}.outbox_dead WHERE id = ANY ($1::bigint[]) ORDER BY id FOR UPDATE
), gone AS (
  DELETE FROM {schema}.outbox_dead d USING locked l WHERE d.id = l.id RETURNING d.id
)
SELECT count(*) FROM gone`

// RequeueDead moves the letters of a plan back into the outbox, those with the lowest ids first. It returns how many: with an
// error those that are done, each of them moved as a whole.
func (s *Store) RequeueDead(ctx context.Context, p DeadPlan) (int, error) {
	return s.stepwise(ctx, p, func(tx pgx.Tx, ids []int64) (n int, err error) {
		return n, tx.QueryRow(ctx, s.sql(sqlRequeue), ids, p.at).Scan(&n)
	})
}

// DiscardDead deletes the letters of a plan. It returns how many.
func (s *Store) DiscardDead(ctx context.Context, p DeadPlan) (int, error) {
	return s.stepwise(ctx, p, func(tx pgx.Tx, ids []int64) (n int, err error) {
		return n, tx.QueryRow(ctx, s.sql(sqlDiscardDead), ids).Scan(&n)
	})
}

func (s *Store) stepwise(ctx context.Context, p DeadPlan, change func(tx pgx.Tx, ids []int64) (int, error)) (done int, err error) {
	for from := 0; from < len(p.ids); {
		to, bytes := from, int64(0)
		for to < len(p.ids) && to-from < deadStepRows && (to == from || bytes+p.sizes[to] <= deadStepBytes) {
			bytes += p.sizes[to]
			to++
		}
		var n int
		err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) (err error) {
			n, err = change(tx, p.ids[from:to])
			return err
		})
		if denied(err) {
			err = fmt.Errorf("%w: run it as the owner of the tables, as migrate up", err)
		}
		if err != nil {
			return done, err
		}
		done, from = done+n, to
	}
	return done, nil
}

// DeadReasons returns the reasons that a row can be dead for, and those of the letters that there are.
func (s *Store) DeadReasons(ctx context.Context) ([]string, error) {
	groups, err := s.DeadGroups(ctx, DeadSelection{})
	if err != nil {
		return nil, err
	}
	var reasons []string
	for _, r := range relay.DeadReasons() {
		reasons = append(reasons, string(r))
	}
	for _, g := range groups {
		if !slices.Contains(reasons, g.Reason) {
			reasons = append(reasons, g.Reason)
		}
	}
	return reasons, nil
}
