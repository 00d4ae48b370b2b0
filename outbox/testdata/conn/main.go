// Command conn writes through a *pgx.Conn; see TestOnlyTransactionsCompile.
package main

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/outbox-relay/outbox-relay/outbox"
)

func main() {
	var db *pgx.Conn
	_ = outbox.Write(context.Background(), db, outbox.Message{Topic: "orders", Payload: []byte("x")})
}
