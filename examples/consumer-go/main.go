// Command consumer-go is an example of a consumer: it applies each message of a topic to its own database exactly once, although
// RocketMQ delivers at least once.
//
// Read apply.go: the effect and the deduplication key are written in one transaction, and the message is acknowledged after it.
// With -orderly the messages of a queue come one after the other, and so those of an ordering key in their order; without, many at
// the same time.
package main

import (
	"context"
	"encoding/base64"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/rlog"
	"github.com/jackc/pgx/v5/pgxpool"
)

func main() {
	orderly := flag.Bool("orderly", false, "one message of a queue after the other")
	flag.Parse()
	rlog.SetLogLevel("error")
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *orderly); err != nil {
		fmt.Fprintln(os.Stderr, "consumer-go:", err)
		stop()
		os.Exit(1)
	}
}

// run consumes until ctx ends.
func run(ctx context.Context, orderly bool) error {
	db, err := pgxpool.New(ctx, os.Getenv("CONSUMER_DATABASE"))
	if err != nil {
		return fmt.Errorf("open the database: %w", err)
	}
	defer db.Close()
	if _, err := db.Exec(ctx, schema); err != nil {
		return fmt.Errorf("make the tables: %w", err)
	}
	push, err := consumer.NewPushConsumer(
		consumer.WithNameServer(primitive.NamesrvAddr{os.Getenv("CONSUMER_NAMESERVER")}),
		consumer.WithGroupName(os.Getenv("CONSUMER_GROUP")),
		consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset),
		consumer.WithConsumerOrder(orderly),
	)
	if err != nil {
		return fmt.Errorf("make a consumer: %w", err)
	}
	// Not ctx: a message that is being applied when the signal comes is finished.
	err = push.Subscribe(os.Getenv("CONSUMER_TOPIC"), consumer.MessageSelector{Type: consumer.TAG, Expression: os.Getenv("CONSUMER_TAGS")},
		func(_ context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
			return handle(context.WithoutCancel(ctx), db, orderly, messages)
		})
	if err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	if err := push.Start(); err != nil {
		return fmt.Errorf("start the consumer: %w", err)
	}
	fmt.Println("ready")
	<-ctx.Done()
	return push.Shutdown()
}

// handle acknowledges messages that are applied, now or before. Others come again: in order, the queue waits for them; else they
// go to the back, with a growing delay, and after 16 times to the dead-letter topic %DLQ%<group>.
func handle(ctx context.Context, db *pgxpool.Pool, orderly bool, messages []*primitive.MessageExt) (consumer.ConsumeResult, error) {
	for _, m := range messages {
		key, _ := dedupKey(m)
		fmt.Printf("delivered\t%s\t%d\t%d\t%s\t%s\n", m.Queue.BrokerName, m.Queue.QueueId, m.QueueOffset, key,
			base64.StdEncoding.EncodeToString(m.Body))
		done, err := apply(ctx, db, m)
		switch {
		case err != nil && orderly:
			fmt.Fprintln(os.Stderr, "consumer-go:", err)
			return consumer.SuspendCurrentQueueAMoment, nil
		case err != nil:
			fmt.Fprintln(os.Stderr, "consumer-go:", err)
			return consumer.ConsumeRetryLater, nil
		case done:
			fmt.Printf("repeated\t%s\n", key)
		default:
			fmt.Printf("applied\t%s\n", key)
		}
	}
	return consumer.ConsumeSuccess, nil
}
