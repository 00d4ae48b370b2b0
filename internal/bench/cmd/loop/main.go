// Command loop is the outbox relay that most teams write by hand, as a peer for the benchmark: lock a hundred rows with SKIP
// LOCKED, send each with the official client and wait for the answer, mark them as sent, commit. It may send a row twice when
// it dies, and with several workers it breaks the order of a key.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	official "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
	"github.com/apache/rocketmq-client-go/v2/rlog"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "loop:", err)
		os.Exit(1)
	}
}

// loop is what the workers share.
type loop struct {
	url, schema, nameServer, group string
	workers                        int
	producer                       official.Producer
}

func run(ctx context.Context, args []string) error {
	var l loop
	flags := flag.NewFlagSet("loop", flag.ContinueOnError)
	flags.StringVar(&l.url, "url", "", "of the database")
	flags.StringVar(&l.schema, "schema", "public", "with the table peer")
	flags.StringVar(&l.nameServer, "nameserver", "", "host:port")
	flags.StringVar(&l.group, "group", "", "the producer group")
	flags.IntVar(&l.workers, "workers", 1, "at the same time")
	if err := flags.Parse(args); err != nil {
		return err
	}
	rlog.SetLogLevel("error")
	var err error
	l.producer, err = official.NewProducer(producer.WithGroupName(l.group), producer.WithRetry(2),
		producer.WithNsResolver(primitive.NewPassthroughResolver(strings.Split(l.nameServer, ";"))))
	if err != nil {
		return fmt.Errorf("make the producer: %w", err)
	}
	if err := l.producer.Start(); err != nil {
		return fmt.Errorf("start the producer: %w", err)
	}
	defer l.producer.Shutdown() //nolint:errcheck // The process ends.
	group, ctx := errgroup.WithContext(ctx)
	for range l.workers {
		group.Go(func() error { return l.work(ctx) })
	}
	if err := group.Wait(); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// work sends until ctx ends.
func (l *loop) work(ctx context.Context) error {
	config, err := pgx.ParseConfig(l.url)
	if err != nil {
		return fmt.Errorf("read the URL: %w", err)
	}
	config.RuntimeParams["search_path"] = l.schema
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // The process ends.
	for ctx.Err() == nil {
		sent := 0
		err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) (err error) {
			sent, err = l.batch(ctx, tx)
			return err
		})
		if err != nil {
			return err
		}
		if sent == 0 {
			time.Sleep(5 * time.Millisecond)
		}
	}
	return ctx.Err()
}

type row struct {
	ID      int64
	Topic   string
	Key     *string
	Payload []byte
}

func (l *loop) batch(ctx context.Context, tx pgx.Tx) (int, error) {
	rows, err := tx.Query(ctx, `SELECT id, topic, ordering_key, payload FROM peer WHERE sent_at IS NULL ORDER BY id LIMIT 100 FOR UPDATE SKIP LOCKED`)
	if err != nil {
		return 0, fmt.Errorf("lock rows: %w", err)
	}
	batch, err := pgx.CollectRows(rows, pgx.RowToStructByPos[row])
	if err != nil || len(batch) == 0 {
		return 0, err
	}
	ids := make([]int64, len(batch))
	for i, r := range batch {
		ids[i] = r.ID
		message := primitive.NewMessage(r.Topic, r.Payload)
		if r.Key != nil {
			message.WithShardingKey(*r.Key)
		}
		if _, err := l.producer.SendSync(ctx, message); err != nil {
			return 0, fmt.Errorf("send row %d: %w", r.ID, err)
		}
	}
	if _, err := tx.Exec(ctx, `UPDATE peer SET sent_at = now() WHERE id = ANY($1)`, ids); err != nil {
		return 0, fmt.Errorf("mark rows: %w", err)
	}
	return len(batch), nil
}
