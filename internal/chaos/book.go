package chaos

import (
	"context"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// bookSchema is the writer's: its books, and a row to lock for each key, which serialises the writers of the key and hands
// out its numbers. What a transaction rolls back, both forget.
const bookSchema = `
CREATE TABLE chaos_book (event bigint PRIMARY KEY, key text NOT NULL, number bigint NOT NULL, span integer NOT NULL);
CREATE TABLE chaos_key (key text PRIMARY KEY, number bigint NOT NULL DEFAULT 0);
INSERT INTO chaos_key (key) SELECT 'key-' || n FROM generate_series(1, 24) n;
GRANT SELECT, INSERT ON chaos_book TO ` + appRole + `;
GRANT SELECT, UPDATE ON chaos_key TO ` + appRole + `;`

// Event is what a row of the outbox carries.
type Event struct {
	ID     int64  `json:"event"`
	Key    string `json:"key"`    // "" = in no order
	Number int64  `json:"number"` // of the key, from 1, without gaps
}

// Entry is an event that was committed, and during which span of the run.
type Entry struct {
	Event
	Span int
}

// ledger remembers which events the writer tried to write. Which of them were committed, the database says: a COMMIT whose
// answer was lost is decided there.
type ledger struct {
	mu    sync.Mutex
	span  int
	tried map[int64]int // not known to be committed: the span
}

func newLedger() *ledger { return &ledger{tried: make(map[int64]int)} }

// enter begins a new span.
func (l *ledger) enter(span int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.span = span
}

func (l *ledger) now() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.span
}

// attempt notes events that are about to be written.
func (l *ledger) attempt(events []Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range events {
		l.tried[e.ID] = l.span
	}
}

// committed notes that COMMIT was answered.
func (l *ledger) committed(events []Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range events {
		delete(l.tried, e.ID)
	}
}

// uncertain returns what was tried and not known to be committed.
func (l *ledger) uncertain() map[int64]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make(map[int64]int, len(l.tried))
	for id, span := range l.tried {
		out[id] = span
	}
	return out
}

// readBook reads the books. Nobody may write to them any more.
func readBook(ctx context.Context, db *pgxpool.Pool) ([]Entry, error) {
	rows, err := db.Query(ctx, `SELECT event, key, number, span FROM chaos_book`)
	if err != nil {
		return nil, fmt.Errorf("read the books: %w", err)
	}
	var entries []Entry
	var e Entry
	_, err = pgx.ForEachRow(rows, []any{&e.ID, &e.Key, &e.Number, &e.Span}, func() error {
		entries = append(entries, e)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the books: %w", err)
	}
	return entries, nil
}
