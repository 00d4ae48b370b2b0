package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

// pay is what the application's transaction pays: an account is changed, the change is noted, and a payload goes to a plain
// table, to an outbox that nobody reads, or to one with a relay. The three take turns, so that noise hits them alike.
type pay struct{ size int }

const (
	payClients  = 8
	payAccounts = 10_000
	paySlice    = time.Second
	paySlices   = 4 // of each
	paySchema   = `
CREATE TABLE account (id int PRIMARY KEY, balance bigint NOT NULL);
INSERT INTO account SELECT n, 0 FROM generate_series(1, %d) n;
CREATE TABLE history (account int NOT NULL, change bigint NOT NULL, at timestamptz NOT NULL DEFAULT now());
CREATE TABLE plain (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, topic text NOT NULL, payload bytea NOT NULL)`
)

// A shop is clients that run one kind of transaction.
type shop struct {
	place   *place
	conns   []*pgx.Conn
	insert  string
	done    int
	took    time.Duration
	used    time.Duration // PostgreSQL's processor time
	measure Measure
}

func (d pay) run(ctx context.Context, w *Bench) (v Values, err error) {
	brokers, err := w.need(Async, 1)
	if err != nil {
		return nil, err
	}
	var shops []*shop
	defer func() {
		for _, s := range shops {
			err = errors.Join(err, s.close())
		}
	}()
	for _, kind := range []struct {
		table   string
		measure Measure
	}{{"plain", BareRate}, {"outbox", OutboxRate}, {"outbox", RelayedRate}} {
		s, err := w.openShop(ctx, brokers, kind.table, kind.measure)
		if err != nil {
			return nil, err
		}
		shops = append(shops, s)
	}
	relayed := shops[2]
	_, stop, err := relayed.place.fleet(ctx, 1)
	if err != nil {
		return nil, errors.Join(err, stop())
	}
	defer func() { err = errors.Join(err, stop()) }()
	slice := w.cfg.Scale.duration(paySlice)
	for range paySlices {
		for _, s := range shops {
			if err := errors.Join(s.work(ctx, slice, d.size), relayed.place.awaitSettled(ctx)); err != nil {
				return nil, err
			}
		}
	}
	a, err := relayed.place.audit(ctx, relayed.done, d.size)
	if err != nil {
		return nil, err
	}
	return paid(shops), a.verdict()
}

// openShop makes a place with accounts, and clients.
func (w *Bench) openShop(ctx context.Context, brokers []Broker, table string, m Measure) (*shop, error) {
	p, err := w.newPlace(ctx, kinds()["transaction"], brokers)
	if err != nil {
		return nil, err
	}
	s := &shop{place: p, insert: "INSERT INTO " + table + " (topic, payload) VALUES ($1, $2)", measure: m}
	if _, err := p.db.Exec(ctx, fmt.Sprintf(paySchema, payAccounts)); err != nil {
		return nil, errors.Join(fmt.Errorf("make the accounts: %w", err), s.close())
	}
	for range payClients {
		conn, err := w.connect(ctx, p.schema)
		if err != nil {
			return nil, errors.Join(err, s.close())
		}
		s.conns = append(s.conns, conn)
	}
	return s, nil
}

func (s *shop) close() error {
	for _, conn := range s.conns {
		_ = conn.Close(context.Background()) // what it wrote is committed
	}
	return s.place.close()
}

// work runs transactions for a time, as many as go.
func (s *shop) work(ctx context.Context, d time.Duration, size int) error {
	fill := filler(size)
	var next atomic.Int64
	next.Store(int64(s.done))
	pid := s.place.bench.cfg.Servers.PostgresPID
	before, begin := postgresTime(pid), time.Now()
	group, groupCtx := errgroup.WithContext(ctx)
	for _, conn := range s.conns {
		group.Go(func() error {
			for time.Since(begin) < d {
				if err := s.transaction(groupCtx, conn, payload(int(next.Add(1)), fill)); err != nil {
					return fmt.Errorf("a transaction of the application: %w", err)
				}
			}
			return nil
		})
	}
	err := group.Wait()
	s.took += time.Since(begin)
	s.used += postgresTime(pid) - before
	s.done = int(next.Load())
	return err
}

func postgresTime(pid int) time.Duration {
	if pid == 0 {
		return 0
	}
	t, err := familyTime(pid)
	if err != nil {
		return 0
	}
	return t
}

func (s *shop) transaction(ctx context.Context, conn *pgx.Conn, body []byte) error {
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		account, change := 1+rand.IntN(payAccounts), rand.IntN(1000)-500
		if _, err := tx.Exec(ctx, "UPDATE account SET balance = balance + $1 WHERE id = $2", change, account); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "INSERT INTO history (account, change) VALUES ($1, $2)", account, change); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, s.insert, s.place.topic, body)
		return err
	})
}

// paid compares the shops. What is paid is the part of the transactions that are not made any more.
func paid(shops []*shop) Values {
	v := Values{}
	for _, s := range shops {
		v[s.measure] = float64(s.done) / s.took.Seconds()
	}
	v[OutboxPays] = 100 * (1 - v[OutboxRate]/v[BareRate])
	v[RelayedPays] = 100 * (1 - v[RelayedRate]/v[BareRate])
	for i, m := range []Measure{BareTxCPU, OutboxTxCPU} {
		if s := shops[i]; s.used > 0 && s.done > 0 {
			v[m] = float64(s.used.Microseconds()) / float64(s.done)
		}
	}
	return v
}
