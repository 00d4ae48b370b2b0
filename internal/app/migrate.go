package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/outbox-relay/outbox-relay/internal/config"
	"github.com/outbox-relay/outbox-relay/internal/pooler"
	"github.com/outbox-relay/outbox-relay/internal/postgres"
	"github.com/outbox-relay/outbox-relay/migrations"
)

// MigrateUp brings the schema to this program's version.
func MigrateUp(ctx context.Context, cfg *config.Config) (migrations.State, error) {
	if err := ownSession(ctx, cfg); err != nil {
		return migrations.State{}, err
	}
	return migrations.Up(ctx, cfg.Database.URL.Reveal(), cfg.Database.Schema)
}

// MigrateStatus returns where the schema stands, and what is wrong with that.
func MigrateStatus(ctx context.Context, cfg *config.Config) (migrations.State, error) {
	if err := ownSession(ctx, cfg); err != nil {
		return migrations.State{}, err
	}
	state, err := migrations.Status(ctx, cfg.Database.URL.Reveal(), cfg.Database.Schema)
	if err == nil {
		err = state.Problem()
	}
	return state, err
}

// ownSession refuses a pooler that shares sessions: migrations are kept apart by a lock of the session. Any other trouble is left
// to what follows.
func ownSession(ctx context.Context, cfg *config.Config) error {
	pool, err := openPool(ctx, cfg)
	if err != nil {
		return err
	}
	defer pool.Close()
	if err := postgres.New(pool, cfg.Database.Schema).Ping(ctx); errors.Is(err, pooler.ErrTransaction) {
		return err
	}
	return nil
}

// MigrateDown removes the outbox with everything in it. Unless discard is set it refuses while there are rows that would be
// lost: pending ones, dead letters, or messages whose outcome is not written yet.
func MigrateDown(ctx context.Context, cfg *config.Config, discard bool) (migrations.State, error) {
	if err := ownSession(ctx, cfg); err != nil {
		return migrations.State{}, err
	}
	url, schema := cfg.Database.URL.Reveal(), cfg.Database.Schema
	was, err := migrations.Status(ctx, url, schema)
	if err != nil {
		return migrations.State{}, err
	}
	if !discard && was.Problem() == nil {
		if err := refuseLoss(ctx, cfg); err != nil {
			return migrations.State{}, err
		}
	}
	return migrations.Down(ctx, url, schema)
}

func refuseLoss(ctx context.Context, cfg *config.Config) error {
	pool, err := openPool(ctx, cfg)
	if err != nil {
		return err
	}
	defer pool.Close()
	b, err := postgres.New(pool, cfg.Database.Schema).Backlog(ctx, countAtMost, nil)
	if err != nil {
		return err
	}
	if b.Rows+b.Dead+b.OpenCount > 0 {
		return fmt.Errorf("schema %s holds %d pending rows, %d dead letters and %d open messages, which would be lost: to lose them, add --discard",
			cfg.Database.Schema, b.Rows, b.Dead, b.OpenCount)
	}
	return nil
}
