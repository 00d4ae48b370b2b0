package postgres

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/outbox-relay/outbox-relay/internal/relay"
)

var _ relay.Store = (*Store)(nil)

// Store is the outbox of one schema. Its methods may be called concurrently.
type Store struct {
	pool   *pgxpool.Pool
	schema string   // quoted
	texts  sync.Map // statement template → statement
}

// New returns the store of a schema on a pool made by Open. It does not connect. The pool stays the caller's to close.
func New(pool *pgxpool.Pool, schema string) *Store {
	return &Store{pool: pool, schema: pgx.Identifier{schema}.Sanitize()}
}

// Ping reports whether the database answers.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.pool.Ping(ctx); err != nil {
		return fmt.Errorf("reach the database: %w", err)
	}
	return nil
}

// sql puts the quoted schema in the place of {schema}. The sessions' search_path is empty, so that every name must say its
// schema and nobody can slip another table under it.
func (s *Store) sql(template string) string {
	if text, ok := s.texts.Load(template); ok {
		return text.(string)
	}
	text := strings.ReplaceAll(template, "{schema}", s.schema)
	s.texts.Store(template, text)
	return text
}

// pipeline runs statements in one round trip and one implicit transaction: all of them take effect or none does. Each
// statement still has a snapshot of its own. read is called to fetch the results in order.
func (s *Store) pipeline(ctx context.Context, batch *pgx.Batch, read func(pgx.BatchResults) error) error {
	results := s.pool.SendBatch(ctx, batch)
	err := read(results)
	// The commit comes after the last result: its error is known only here.
	if closeErr := results.Close(); err == nil {
		err = closeErr
	}
	return err
}
