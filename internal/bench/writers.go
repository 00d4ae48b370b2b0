package bench

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

// writers are the application: connections that insert one row in a transaction each.
type writers struct {
	conns     []*pgx.Conn
	insert    string
	topic     string
	fill      string
	next      atomic.Int64
	committed atomic.Int64
	times     []time.Time // by number: when the commit was acknowledged
}

const writerConns = 16

func (w *Bench) newWriters(ctx context.Context, schema, insert, topic string, size int) (*writers, error) {
	s := &writers{insert: insert, topic: topic, fill: filler(size)}
	for range writerConns {
		conn, err := w.connect(ctx, schema)
		if err != nil {
			s.close()
			return nil, err
		}
		s.conns = append(s.conns, conn)
	}
	return s, nil
}

// connect opens a connection that works in a schema.
func (w *Bench) connect(ctx context.Context, schema string) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig(w.cfg.Servers.Postgres)
	if err != nil {
		return nil, fmt.Errorf("read PostgreSQL's URL: %w", err)
	}
	config.RuntimeParams["search_path"] = pgx.Identifier{schema}.Sanitize()
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect to PostgreSQL: %w", err)
	}
	return conn, nil
}

// write inserts the rows 1 … rows, each when it is due; one that is late is written at once.
func (s *writers) write(ctx context.Context, rate, rows int) error {
	s.times = make([]time.Time, rows+1)
	begin := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	for _, conn := range s.conns {
		group.Go(func() error {
			for {
				n := int(s.next.Add(1))
				if n > rows {
					return nil
				}
				due := begin.Add(time.Duration(n) * time.Second / time.Duration(rate))
				if err := pause(ctx, time.Until(due)); err != nil {
					return err
				}
				if _, err := conn.Exec(ctx, s.insert, s.topic, payload(n, s.fill)); err != nil {
					return fmt.Errorf("insert row %d: %w", n, err)
				}
				s.times[n] = time.Now()
				s.committed.Add(1)
			}
		})
	}
	return group.Wait()
}

func (s *writers) close() {
	for _, conn := range s.conns {
		_ = conn.Close(context.Background()) // what it wrote is committed
	}
}
