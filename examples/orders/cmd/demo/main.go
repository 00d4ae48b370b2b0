// Command demo shows the relay at work, on real servers, and judges it.
//
// It starts PostgreSQL and RocketMQ, applies the migration, starts the relay, and lets an order service write orders and
// messages about them, some of which are rolled back. An ordinary RocketMQ consumer receives. In the middle the relay is
// killed with SIGKILL and started again. At the end stands a table, and the exit status: 0 only if what was committed arrived
// exactly once and in order, and nothing else did.
//
//	demo.go       the order of events: read this first
//	server.go     PostgreSQL and RocketMQ
//	relay.go      the relay's process
//	shop.go       the order service at a steady rate
//	consumer.go   what consumers do
//	example.go    the consumers of examples/, as processes
//	progress.go   a line a second
//	report.go     the table
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// The exit codes.
const (
	exitOK          = 0
	exitBroken      = 1 // something was lost, duplicated, out of order, or delivered after a rollback
	exitFailed      = 2 // the demo itself could not go on
	exitInterrupted = 130
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	settings, err := parseSettings(args, os.Getenv, os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		return exitFailed
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The first signal ends the demo tidily, a second one at once.
	context.AfterFunc(ctx, stop)

	verdict, err := demo(ctx, settings, &console{out: os.Stdout})
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "demo: interrupted, everything is stopped and removed")
		return exitInterrupted
	case err != nil:
		fmt.Fprintln(os.Stderr, "demo:", err)
		return exitFailed
	case !verdict.OK():
		return exitBroken
	}
	return exitOK
}
