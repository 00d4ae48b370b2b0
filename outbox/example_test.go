package outbox_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log"
	"os"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/outbox-relay/outbox-relay/outbox"
)

// exampleDatabase makes a schema with the outbox and a table orders, and returns how to connect to it.
func exampleDatabase(ctx context.Context, schema string) *pgx.ConnConfig {
	migration, err := os.ReadFile("../migrations/0001_outbox.up.sql")
	if err != nil {
		log.Fatal(err)
	}
	config, err := pgx.ParseConfig(databaseURL)
	if err != nil {
		log.Fatal(err)
	}
	config.RuntimeParams["search_path"] = schema
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	setup := "CREATE SCHEMA " + schema + "; CREATE TABLE orders (id text PRIMARY KEY, customer text);" + string(migration)
	if _, err := conn.PgConn().Exec(ctx, setup).ReadAll(); err != nil {
		log.Fatal(err)
	}
	return config
}

// An order and the message about it are written in one transaction: both, or neither.
func Example() {
	ctx := context.Background()
	conn, err := pgx.ConnectConfig(ctx, exampleDatabase(ctx, "example"))
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()

	place := func(order, customer string) error {
		return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, `INSERT INTO orders VALUES ($1, $2)`, order, customer); err != nil {
				return err
			}
			return outbox.Write(ctx, tx, outbox.Message{
				Topic:       "orders",
				Tag:         "placed",
				Keys:        []string{order},
				OrderingKey: customer,
				Headers:     map[string]string{"content-type": "application/json"},
				Payload:     []byte(`{"order":"` + order + `"}`),
			})
		})
	}
	fmt.Println(place("A-1", "miller"))
	fmt.Println(place("A-1", "miller") != nil) // There is an order A-1 already: rolled back, and with it the message.

	var orders, messages int
	if err := conn.QueryRow(ctx, `SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM outbox)`).Scan(&orders, &messages); err != nil {
		log.Fatal(err)
	}
	fmt.Println(orders, "order,", messages, "message")

	// Output:
	// <nil>
	// true
	// 1 order, 1 message
}

// Several messages cost one round trip, and get their ids in the order of the call.
func ExampleWrite() {
	ctx := context.Background()
	conn, err := pgx.ConnectConfig(ctx, exampleDatabase(ctx, "example_write"))
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()

	tx, err := conn.Begin(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = tx.Rollback(ctx) }()
	if err := outbox.Write(ctx, tx,
		outbox.Message{Topic: "orders", OrderingKey: "miller", Payload: []byte("placed")},
		outbox.Message{Topic: "orders", OrderingKey: "miller", Payload: []byte("paid")},
		outbox.Message{Topic: "mails", DedupKey: "A-1/confirmation", Payload: []byte("confirm A-1")},
	); err != nil {
		log.Fatal(err)
	}
	if err := tx.Commit(ctx); err != nil {
		log.Fatal(err)
	}

	rows, err := conn.Query(ctx, `SELECT id, topic, convert_from(payload, 'UTF8') FROM outbox ORDER BY id`)
	if err != nil {
		log.Fatal(err)
	}
	var id int
	var topic, payload string
	if _, err := pgx.ForEachRow(rows, []any{&id, &topic, &payload}, func() error {
		fmt.Println(id, topic, payload)
		return nil
	}); err != nil {
		log.Fatal(err)
	}

	// Output:
	// 1 orders placed
	// 2 orders paid
	// 3 mails confirm A-1
}

// The same through database/sql, with whatever driver the application uses.
func ExampleWriteSQL() {
	ctx := context.Background()
	db := stdlib.OpenDB(*exampleDatabase(ctx, "example_sql"))
	defer func() { _ = db.Close() }()

	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer func(tx *sql.Tx) { _ = tx.Rollback() }(tx)
	if _, err := tx.ExecContext(ctx, `INSERT INTO orders VALUES ($1, $2)`, "A-1", "miller"); err != nil {
		log.Fatal(err)
	}
	if err := outbox.WriteSQL(ctx, tx, outbox.Message{Topic: "orders", Payload: []byte("placed")}); err != nil {
		log.Fatal(err)
	}
	if err := tx.Commit(); err != nil {
		log.Fatal(err)
	}

	var topic string
	if err := db.QueryRowContext(ctx, `SELECT topic FROM outbox`).Scan(&topic); err != nil {
		log.Fatal(err)
	}
	fmt.Println(topic)

	// Output: orders
}

// A Writer names the schema of the outbox where it is not in the search path.
func ExampleWriter_Write() {
	ctx := context.Background()
	config := exampleDatabase(ctx, "messaging")
	config.RuntimeParams["search_path"] = ""
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()

	writer := outbox.Writer{Schema: "messaging"}
	if err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		return writer.Write(ctx, tx, outbox.Message{Topic: "orders", Payload: []byte("placed")})
	}); err != nil {
		log.Fatal(err)
	}

	var messages int
	if err := conn.QueryRow(ctx, `SELECT count(*) FROM messaging.outbox`).Scan(&messages); err != nil {
		log.Fatal(err)
	}
	fmt.Println(messages)

	// Output: 1
}

// Everything that RocketMQ would refuse is named at once, before anything is written.
func ExampleInvalidError() {
	err := outbox.Validate(
		outbox.Message{Topic: "orders", Payload: []byte("fine")},
		outbox.Message{Topic: "orders.v2", Tag: "placed|paid", Keys: []string{"order 7"}, Headers: map[string]string{"WAIT": "false"}},
	)
	var invalid *outbox.InvalidError
	if errors.As(err, &invalid) {
		for _, fault := range invalid.Faults {
			fmt.Println(fault)
		}
	}

	// Output:
	// message 1: topic "orders.v2" must consist of a-z, A-Z, 0-9, '_', '-', '%' and '|'
	// message 1: tag "placed|paid" must not contain '|', which means "or" in a consumer's filter
	// message 1: keys[0] "order 7" must not contain a space, which separates keys
	// message 1: headers["WAIT"] name is reserved by RocketMQ or the relay
	// message 1: payload 0 bytes must not be empty
}
