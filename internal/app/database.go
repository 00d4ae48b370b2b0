package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/outbox-relay/outbox-relay/internal/config"
	"github.com/outbox-relay/outbox-relay/internal/pooler"
	"github.com/outbox-relay/outbox-relay/internal/postgres"
	"github.com/outbox-relay/outbox-relay/internal/relay"
	"github.com/outbox-relay/outbox-relay/migrations"
)

// openPool makes the connection pool. It does not connect.
func openPool(ctx context.Context, cfg *config.Config) (*pgxpool.Pool, error) {
	return postgres.Open(ctx, postgres.Config{URL: cfg.Database.URL.Reveal(), Instance: cfg.Instance})
}

// reachDatabase waits for the database and reads the outbox's origin. A schema that is not the one this program needs is a
// mistake: the relay never migrates unasked.
func (a *app) reachDatabase(ctx context.Context) error {
	pool, err := openPool(ctx, a.cfg)
	if err != nil {
		return err
	}
	a.closers.add("database", func(context.Context) error {
		pool.Close()
		return nil
	})
	a.pool = pool
	a.store = postgres.New(pool, a.cfg.Database.Schema)
	return a.await(ctx, conditionDatabase, func(ctx context.Context) error {
		if err := migrations.Check(ctx, pool, a.cfg.Database.Schema); err != nil {
			if isSchemaMistake(err) {
				return mistake(err)
			}
			return fmt.Errorf("check the schema: %w", err)
		}
		origin, err := a.store.Origin(ctx)
		if err != nil {
			if errors.Is(err, relay.ErrMoved) || isSchemaMistake(err) {
				return mistake(err)
			}
			return err
		}
		a.origin = origin.String()
		return nil
	})
}

// isSchemaMistake reports whether the database was reached and what it holds, or lets this role see, or how it is reached, is not
// what is needed.
func isSchemaMistake(err error) bool {
	for _, known := range []error{pooler.ErrTransaction, migrations.ErrMissing, migrations.ErrDirty, migrations.ErrOlder, migrations.ErrNewer} {
		if errors.Is(err, known) {
			return true
		}
	}
	const insufficientPrivilege = "42501"
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) && pgErr.Code == insufficientPrivilege
}
