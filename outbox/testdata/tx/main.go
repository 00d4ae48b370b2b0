// Command tx writes through a pgx.Tx; see TestOnlyTransactionsCompile.
package main

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/outbox-relay/outbox-relay/outbox"
)

func main() {
	var db pgx.Tx
	_ = outbox.Write(context.Background(), db, outbox.Message{Topic: "orders", Payload: []byte("x")})
}
