package orders

import (
	"context"
	_ "embed" // For the schema.
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
)

//go:embed schema.sql
var schema string

// Install makes the service's tables, with customers and with items of which there are as many as stock says.
func Install(ctx context.Context, db *pgxpool.Pool, customers []string, stock map[string]int64) error {
	if _, err := db.Exec(ctx, schema); err != nil {
		return fmt.Errorf("make the tables of the order service: %w", err)
	}
	if _, err := db.Exec(ctx, `INSERT INTO customers (name) SELECT unnest($1::text[])`, customers); err != nil {
		return fmt.Errorf("insert customers: %w", err)
	}
	for item, amount := range stock {
		if _, err := db.Exec(ctx, `INSERT INTO stock VALUES ($1, $2)`, item, amount); err != nil {
			return fmt.Errorf("insert stock: %w", err)
		}
	}
	return nil
}
