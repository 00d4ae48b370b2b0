package app

import (
	"context"
	"fmt"

	"github.com/outbox-relay/outbox-relay/internal/config"
	"github.com/outbox-relay/outbox-relay/internal/postgres"
	"github.com/outbox-relay/outbox-relay/migrations"
)

// withStore runs an operator's command on the outbox, once it is known to have the right schema.
func withStore(ctx context.Context, cfg *config.Config, operate func(*postgres.Store) error) error {
	pool, err := openPool(ctx, cfg)
	if err != nil {
		return err
	}
	defer pool.Close()
	if err := migrations.Check(ctx, pool, cfg.Database.Schema); err != nil {
		return fmt.Errorf("check the schema: %w", err)
	}
	return operate(postgres.New(pool, cfg.Database.Schema))
}
