package orders

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/outbox-relay/outbox-relay/outbox"
)

// ErrSoldOut means that the item is sold out. The order was rolled back, and with it the message about it.
var ErrSoldOut = errors.New("sold out")

// Service takes orders.
type Service struct {
	DB    *pgxpool.Pool
	Topic string // where the events go
}

// Order is what a customer wants.
type Order struct {
	ID       string
	Customer string
	Item     string
	Cents    int64
}

// Place stores an order together with the message about it, and returns the customer's number of the order.
func (s *Service) Place(ctx context.Context, o Order) (number int64, err error) {
	// BEGIN … COMMIT, or ROLLBACK if the function returns an error.
	err = pgx.BeginFunc(ctx, s.DB, func(tx pgx.Tx) error {
		number, err = place(ctx, tx, s.Topic, o)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("place order %s: %w", o.ID, err)
	}
	return number, nil
}

func place(ctx context.Context, tx pgx.Tx, topic string, o Order) (number int64, err error) {
	// The lock on the customer's row makes writers of one customer take turns, before the message gets its id: that is what
	// puts the messages of a customer in the order of the commits.
	if err := tx.QueryRow(ctx,
		`UPDATE customers SET orders = orders + 1 WHERE name = $1 RETURNING orders`, o.Customer).Scan(&number); err != nil {
		return 0, fmt.Errorf("lock customer: %w", err)
	}
	if _, err := tx.Exec(ctx, `INSERT INTO orders VALUES ($1, $2, $3, $4, $5)`,
		o.ID, o.Customer, number, o.Item, o.Cents); err != nil {
		return 0, fmt.Errorf("insert order: %w", err)
	}

	payload, err := json.Marshal(Placed{ID: o.ID, Customer: o.Customer, Number: number, Item: o.Item, Cents: o.Cents})
	if err != nil {
		return 0, fmt.Errorf("encode event: %w", err)
	}
	if err := outbox.Write(ctx, tx, outbox.Message{
		Topic:       topic,
		Tag:         "placed",
		OrderingKey: o.Customer, // arrives after the customer's earlier orders
		DedupKey:    o.ID,       // how consumers would recognise a repetition
		Headers:     map[string]string{"content-type": "application/json"},
		Payload:     payload,
	}); err != nil {
		return 0, err
	}

	// What can go wrong may go wrong after the message was written, too.
	taken, err := tx.Exec(ctx, `UPDATE stock SET left_over = left_over - 1 WHERE item = $1 AND left_over > 0`, o.Item)
	if err != nil {
		return 0, fmt.Errorf("take from stock: %w", err)
	}
	if taken.RowsAffected() == 0 {
		return 0, ErrSoldOut
	}
	return number, nil
}
