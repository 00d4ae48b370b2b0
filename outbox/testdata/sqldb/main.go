// Command sqldb writes through a *sql.DB; see TestOnlyTransactionsCompile.
package main

import (
	"context"
	"database/sql"

	"github.com/outbox-relay/outbox-relay/outbox"
)

func main() {
	var db *sql.DB
	_ = outbox.WriteSQL(context.Background(), db, outbox.Message{Topic: "orders", Payload: []byte("x")})
}
