package main

import (
	"context"
	_ "embed" // For the SQL.
	"errors"
	"fmt"
	"strings"

	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

//go:embed schema.sql
var schema string

// effect is what the consumer is there for: it adds an order to the customer's total.
//
//go:embed effect.sql
var effect string

var errNoKey = errors.New("the message has no deduplication key")

// dedupKey is the same in every message of one outbox row.
func dedupKey(m *primitive.MessageExt) (string, error) {
	if key := m.GetProperty("outbox-dedup-key"); key != "" {
		return key, nil
	}
	// The first of KEYS is the same, for consumers that get no user properties.
	if key, _, _ := strings.Cut(m.GetKeys(), " "); key != "" {
		return key, nil
	}
	return "", errNoKey
}

// apply applies a message exactly once, however often it comes. When it has returned nil the message may be acknowledged; a
// process that dies before is given the message again, and finds that it is done.
func apply(ctx context.Context, db *pgxpool.Pool, m *primitive.MessageExt) (done bool, err error) {
	key, err := dedupKey(m)
	if err != nil {
		return false, err
	}
	err = pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		// The same message may be at work in another consumer: this waits for it.
		tag, err := tx.Exec(ctx, `INSERT INTO consumed (dedup_key) VALUES ($1) ON CONFLICT DO NOTHING`, key)
		if err != nil {
			return fmt.Errorf("note that %s is done: %w", key, err)
		}
		if tag.RowsAffected() == 0 {
			done = true
			return nil
		}
		if _, err := tx.Exec(ctx, effect, m.Body); err != nil {
			return fmt.Errorf("apply %s: %w", key, err)
		}
		return nil
	})
	return done, err
}
