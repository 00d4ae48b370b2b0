// Command shop places the orders that it is told (id=cents …), prints what became of each, and then answers check-backs until it
// is interrupted.
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"github.com/apache/rocketmq-client-go/v2/rlog"

	"github.com/outbox-relay/outbox-relay/examples/halfmessages"
)

func main() {
	rlog.SetLogLevel("fatal") // At "error" it writes down whole messages that were rolled back.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "shop:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, orders []string, out io.Writer) error {
	shop, err := halfmessages.Open(ctx, halfmessages.Config{
		Database: os.Getenv("SHOP_DATABASE"), NameServer: os.Getenv("SHOP_NAMESERVER"), Group: os.Getenv("SHOP_GROUP"),
		Topic: os.Getenv("SHOP_TOPIC"), Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if err != nil {
		return err
	}
	defer shop.Close()
	for _, order := range orders {
		id, text, _ := strings.Cut(order, "=")
		cents, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return fmt.Errorf("order %q is not of the form id=cents: %w", order, err)
		}
		if err := shop.Place(ctx, id, cents); err != nil {
			_, _ = fmt.Fprintln(out, err)
			continue
		}
		_, _ = fmt.Fprintln(out, "placed", id)
	}
	if err := shop.Housekeep(ctx); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}
