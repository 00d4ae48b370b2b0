// Command pool writes through a *pgxpool.Pool; see TestOnlyTransactionsCompile.
package main

import (
	"context"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/outbox-relay/outbox-relay/outbox"
)

func main() {
	var db *pgxpool.Pool
	_ = outbox.Write(context.Background(), db, outbox.Message{Topic: "orders", Payload: []byte("x")})
}
