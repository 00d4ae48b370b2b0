package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	writers = 8
	keys    = 24 // in the table chaos_key
	// eventsPerWriter keeps the ids of the writers apart.
	eventsPerWriter = int64(1) << 40
	// writePatience ends a transaction that hangs, for example on a database that is frozen.
	writePatience     = 20 * time.Second
	largeBytes        = 1 << 20
	largeTransactions = 30
)

// Writer is the application: it commits, rolls back, and holds transactions open, on connections of its own.
type Writer struct {
	db     *pgxpool.Pool
	ledger *ledger
	stop   context.CancelFunc
	done   sync.WaitGroup

	// large is how many more transactions begin with rows of largeBytes.
	large atomic.Int64

	committed, rolledBack, unclear atomic.Int64 // transactions
}

// startWriter starts writing. Which transactions it makes follows from the seed.
func (w *World) startWriter(ctx context.Context, seed uint64) error {
	db, err := w.pool(ctx, appRole, writers+2)
	if err != nil {
		return err
	}
	w.writer = newWriter(ctx, db, w.ledger, seed)
	return nil
}

func newWriter(ctx context.Context, db *pgxpool.Pool, ledger *ledger, seed uint64) *Writer {
	w := &Writer{db: db, ledger: ledger}
	var writing context.Context
	writing, w.stop = context.WithCancel(context.WithoutCancel(ctx))
	for n := range writers {
		h := &hand{writer: w, draw: rand.New(rand.NewPCG(seed, writerStream<<32|uint64(n))), next: int64(n+1) * eventsPerWriter}
		w.done.Go(func() { h.write(writing) })
	}
	return w
}

// finish stops writing; every transaction ends first.
func (w *Writer) finish() {
	w.stop()
	w.done.Wait()
	w.db.Close()
}

// hand is one goroutine of the writer.
type hand struct {
	writer *Writer
	draw   *rand.Rand
	next   int64
}

func (h *hand) write(ctx context.Context) {
	for pause(ctx, time.Duration(50+h.draw.IntN(250))*time.Millisecond) == nil {
		h.transaction(ctx)
	}
}

// transaction is what one transaction is to be, drawn before anything can go wrong, so that a failure does not change what
// comes later.
type transaction struct {
	key      string // "" = none of its rows has one
	keyed    int    // rows with the key
	unkeyed  int
	hold     time.Duration // how long it stays open once it has written
	rollback bool
}

func (h *hand) drawTransaction() transaction {
	t := transaction{rollback: h.draw.IntN(10) == 0}
	if h.draw.IntN(3) > 0 {
		t.key, t.keyed = fmt.Sprintf("key-%d", 1+h.draw.IntN(keys)), 1+h.draw.IntN(4)
	}
	if t.key == "" || h.draw.IntN(2) == 0 {
		t.unkeyed = 1 + h.draw.IntN(4)
	}
	switch h.draw.IntN(40) {
	case 0, 1:
		t.hold = time.Duration(500+h.draw.IntN(3000)) * time.Millisecond
	case 2: // an import
		t.unkeyed += 100
	}
	return t
}

func (h *hand) transaction(ctx context.Context) {
	t := h.drawTransaction()
	// Not cut off by the end of the run: the server would go on with it behind our back.
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), writePatience)
	defer cancel()
	events, committed, err := h.try(within, t)
	switch {
	case committed && err == nil:
		h.writer.ledger.committed(events)
		h.writer.committed.Add(1)
	case err == nil:
		h.writer.rolledBack.Add(1)
	default:
		h.writer.unclear.Add(1)
	}
}

// try makes the transaction. An error leaves open whether it was committed.
func (h *hand) try(ctx context.Context, t transaction) (events []Event, committed bool, err error) {
	tx, err := h.writer.db.Begin(ctx)
	if err != nil {
		return nil, false, err
	}
	defer tx.Rollback(ctx) //nolint:errcheck // After a COMMIT it does nothing, and otherwise a failure changes nothing.
	events, err = h.events(ctx, tx, t)
	if err != nil {
		return nil, false, err
	}
	h.writer.ledger.attempt(events)
	if err := insertRows(ctx, tx, events, h.padding()); err != nil {
		return nil, false, err
	}
	if t.hold > 0 {
		if err := pause(ctx, t.hold); err != nil {
			return nil, false, err
		}
	}
	if err := insertBook(ctx, tx, events, h.writer.ledger.now()); err != nil {
		return nil, false, err
	}
	if t.rollback {
		return events, false, tx.Rollback(ctx)
	}
	return events, true, tx.Commit(ctx)
}

// events makes the events of a transaction. The lock on the key's row is held to its end, so the order of the row ids is the
// order of the commits and of the numbers.
func (h *hand) events(ctx context.Context, tx pgx.Tx, t transaction) ([]Event, error) {
	var last int64
	if t.key != "" {
		err := tx.QueryRow(ctx, `UPDATE chaos_key SET number = number + $2 WHERE key = $1 RETURNING number`, t.key, t.keyed).Scan(&last)
		if err != nil {
			return nil, err
		}
	}
	var events []Event
	for n := range t.keyed {
		events = append(events, Event{ID: h.next, Key: t.key, Number: last - int64(t.keyed) + int64(n) + 1})
		h.next++
	}
	for range t.unkeyed {
		events = append(events, Event{ID: h.next})
		h.next++
	}
	return events, nil
}

// padding is how much longer the rows of this transaction are than they need be.
func (h *hand) padding() int {
	if h.writer.large.Load() <= 0 {
		return 0
	}
	h.writer.large.Add(-1)
	return largeBytes
}

// insertRows writes the rows of the outbox, each with a statement of its own, so that their ids follow their order.
func insertRows(ctx context.Context, tx pgx.Tx, events []Event, padding int) error {
	batch := &pgx.Batch{}
	for i, e := range events {
		if i > 3 {
			padding = 0 // an import of large rows would take minutes
		}
		payload, err := json.Marshal(struct {
			Event
			Padding string `json:"padding,omitempty"`
		}{e, strings.Repeat("x", padding)})
		if err != nil {
			return err
		}
		batch.Queue(`INSERT INTO outbox (topic, ordering_key, payload) VALUES ($1, nullif($2, ''), $3)`, topic, e.Key, payload)
	}
	return tx.SendBatch(ctx, batch).Close()
}

func insertBook(ctx context.Context, tx pgx.Tx, events []Event, span int) error {
	ids, keys, numbers := make([]int64, len(events)), make([]string, len(events)), make([]int64, len(events))
	for i, e := range events {
		ids[i], keys[i], numbers[i] = e.ID, e.Key, e.Number
	}
	_, err := tx.Exec(ctx, `INSERT INTO chaos_book SELECT *, $4::int FROM unnest($1::bigint[], $2::text[], $3::bigint[])`, ids, keys, numbers, span)
	return err
}
