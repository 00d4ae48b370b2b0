package txcheck_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/outbox-relay/outbox-relay/txcheck"
)

// An attempt is one half message, with what was answered about it and up to two transactions under its id: the application's
// and that of somebody who breaks the rules and tries again.
type attempt struct {
	id      string
	txs     [2]pgx.Tx
	marked  [2]bool
	answers map[txcheck.Answer]bool
}

func (a *attempt) order(n int) string { return fmt.Sprintf("%s-%d", a.id, n) }

// Transactions and questions in any order: a transaction that commits is never answered Rollback, before or after, and one that
// does not is never answered Commit.
func TestNoOrderOfEventsMakesAnAnswerWrong(t *testing.T) {
	t.Parallel()
	s := newService(t, func(o *txcheck.MarkerOptions) { o.LockWait = 5 * time.Millisecond })
	levels := []pgx.TxIsoLevel{pgx.ReadCommitted, pgx.RepeatableRead, pgx.Serializable}
	rapid.Check(t, func(t *rapid.T) {
		ctx := context.Background()
		attempts := make([]*attempt, rapid.IntRange(1, 3).Draw(t, "attempts"))
		for i := range attempts {
			attempts[i] = &attempt{id: s.markers.NewID(), answers: map[txcheck.Answer]bool{}}
		}
		defer func() {
			for _, a := range attempts {
				for _, tx := range a.txs {
					if tx != nil {
						_ = tx.Rollback(ctx)
					}
				}
			}
		}()
		pick := func(t *rapid.T) (*attempt, int) {
			return attempts[rapid.IntRange(0, len(attempts)-1).Draw(t, "attempt")], rapid.IntRange(0, 1).Draw(t, "transaction")
		}
		step := func(do func(a *attempt, n int, tx pgx.Tx)) func(*rapid.T) {
			return func(t *rapid.T) {
				if a, n := pick(t); a.txs[n] != nil {
					do(a, n, a.txs[n])
				}
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"begin": func(t *rapid.T) {
				a, n := pick(t)
				if a.txs[n] != nil {
					return
				}
				tx, err := s.db.BeginTx(ctx, pgx.TxOptions{IsoLevel: rapid.SampledFrom(levels).Draw(t, "level")})
				if err == nil { // Two transactions under one id wait for each other: not for long.
					_, err = tx.Exec(ctx, `SET LOCAL lock_timeout = '5ms'`)
				}
				if err != nil {
					t.Fatal(err)
				}
				a.txs[n], a.marked[n] = tx, false
			},
			"look":  step(func(_ *attempt, _ int, tx pgx.Tx) { _, _ = tx.Exec(ctx, `SELECT count(*) FROM outbox_marker`) }),
			"mark":  step(func(a *attempt, n int, tx pgx.Tx) { a.marked[n] = s.markers.Mark(ctx, tx, a.id) == nil || a.marked[n] }),
			"order": step(func(a *attempt, n int, tx pgx.Tx) { _ = place(ctx, a.order(n))(tx) }),
			"savepoint": step(func(a *attempt, n int, tx pgx.Tx) {
				if inner, err := tx.Begin(ctx); err == nil {
					_ = place(ctx, a.order(n))(inner)
					_ = inner.Rollback(ctx)
				}
			}),
			"rollback": step(func(a *attempt, n int, tx pgx.Tx) { a.txs[n] = nil; _ = tx.Rollback(ctx) }),
			"commit": step(func(a *attempt, n int, tx pgx.Tx) {
				if a.marked[n] { // The application commits only what it has marked, and does not know whether that succeeds.
					a.txs[n] = nil
					_ = tx.Commit(ctx)
				}
			}),
			"check": func(t *rapid.T) {
				a, _ := pick(t)
				answer, err := s.markers.Check(ctx, a.id)
				if err != nil {
					t.Fatal(err)
				}
				a.answers[answer] = true
			},
		})
		for _, a := range attempts {
			a.verify(ctx, t, s)
		}
	})
}

// verify ends the transactions and compares every answer with what is in the database. Which of two transactions committed does
// not matter: under one id, one can.
func (a *attempt) verify(ctx context.Context, t *rapid.T, s *service) {
	for n, tx := range a.txs {
		if tx != nil && a.marked[n] {
			_ = tx.Commit(ctx)
		} else if tx != nil {
			_ = tx.Rollback(ctx)
		}
		a.txs[n] = nil
	}
	final, err := s.markers.Check(ctx, a.id)
	if err != nil || final == txcheck.Unknown {
		t.Fatalf("everything has ended, and the answer is %s, %v", final, err)
	}
	a.answers[final] = true
	if a.answers[txcheck.Commit] && a.answers[txcheck.Rollback] {
		t.Fatalf("both were answered about %s", a.id)
	}
	var orders int
	if err := s.db.QueryRow(ctx, `SELECT count(*) FROM orders WHERE id IN ($1, $2)`, a.order(0), a.order(1)).Scan(&orders); err != nil {
		t.Fatal(err)
	}
	if orders > 1 || orders == 1 && !a.answers[txcheck.Commit] {
		t.Fatalf("%d orders under one id, answered %v", orders, a.answers)
	}
}

// The same with real concurrency: transactions and checkers race for the same instant.
func TestCheckersRaceWithTransactions(t *testing.T) {
	t.Parallel()
	s := newService(t, func(o *txcheck.MarkerOptions) { o.LockWait = 20 * time.Millisecond })
	const halves = 300
	broken := errors.New("rolled back")
	type outcome struct {
		sync.Mutex
		answers map[txcheck.Answer]int
	}
	var totals outcome
	totals.answers = map[txcheck.Answer]int{}
	work := make(chan int)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for n := range work {
				id, order := s.markers.NewID(), fmt.Sprint(n)
				answers := make(chan txcheck.Answer, 8)
				ask := func() {
					time.Sleep(time.Duration(rand.Int64N(int64(6 * time.Millisecond))))
					answer, err := s.markers.Check(t.Context(), id)
					assert.NoError(t, err)
					answers <- answer
				}
				var asking sync.WaitGroup
				for range 2 {
					asking.Go(ask)
				}
				asking.Go(func() {
					time.Sleep(time.Duration(rand.Int64N(int64(4 * time.Millisecond))))
					answer, err := s.markers.Run(t.Context(), s.db, id, func(tx pgx.Tx) error {
						time.Sleep(time.Duration(rand.Int64N(int64(4 * time.Millisecond))))
						if n%5 == 0 {
							return broken
						}
						return place(t.Context(), order)(tx)
					})
					assert.Equal(t, err == nil, answer == txcheck.Commit)
					answers <- answer
				})
				asking.Wait()
				final, err := s.markers.Check(t.Context(), id)
				assert.NoError(t, err) //nolint:testifylint // Not the test's goroutine.
				answers <- final
				close(answers)
				seen := map[txcheck.Answer]int{}
				for answer := range answers {
					seen[answer]++
				}
				var placed bool
				err = s.db.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM orders WHERE id = $1)`, order).Scan(&placed)
				assert.NoError(t, err) //nolint:testifylint // Not the test's goroutine.
				assert.Equal(t, placed, seen[txcheck.Commit] > 0, "%v", seen)
				assert.Equal(t, !placed, seen[txcheck.Rollback] > 0, "%v", seen)
				totals.Lock()
				for answer, n := range seen {
					totals.answers[answer] += n
				}
				totals.Unlock()
			}
		})
	}
	for n := range halves {
		work <- n
	}
	close(work)
	wg.Wait()
	t.Logf("answers: %v", totals.answers)
	require.Positive(t, totals.answers[txcheck.Commit])
	require.Positive(t, totals.answers[txcheck.Rollback])
}
