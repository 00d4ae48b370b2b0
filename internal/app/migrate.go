package app

import (
	"context"
	"fmt"

	"github.com/outbox-relay/outbox-relay/internal/config"
	"github.com/outbox-relay/outbox-relay/internal/postgres"
	"github.com/outbox-relay/outbox-relay/migrations"
)

// MigrateDown removes the outbox with everything in it. Unless discard is set it refuses while there are rows that would be
// lost: pending ones, dead letters, or messages whose outcome is not written yet.
func MigrateDown(ctx context.Context, cfg *config.Config, discard bool) (migrations.State, error) {
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
	b, err := postgres.New(pool, cfg.Database.Schema).Backlog(ctx, countAtMost)
	if err != nil {
		return err
	}
	if b.Rows+b.Dead+b.OpenCount > 0 {
		return fmt.Errorf("schema %s holds %d pending rows, %d dead letters and %d open messages, which would be lost: to lose them, add --discard",
			cfg.Database.Schema, b.Rows, b.Dead, b.OpenCount)
	}
	return nil
}
