package flowtest

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/outbox-relay/outbox-relay/internal/postgres"
	"github.com/outbox-relay/outbox-relay/internal/relay"
	"github.com/outbox-relay/outbox-relay/internal/rocketmq"
	"github.com/outbox-relay/outbox-relay/txcheck"
)

// parts are what a relay is put together from.
type parts struct {
	pool   *pgxpool.Pool
	store  *postgres.Store
	client *rocketmq.Client
	routes chan struct{}
}

// connect waits for the servers and binds the topics.
func connect(ctx context.Context, url, nameServer, group string, cfg relay.Config, log *slog.Logger) (*parts, error) {
	pool, err := postgres.Open(ctx, postgres.Config{URL: url, Instance: cfg.Instance, AnswerTimeout: 5 * time.Second})
	if err != nil {
		return nil, err
	}
	store := postgres.New(pool, "public")
	origin, err := store.Origin(ctx)
	if err != nil {
		return nil, err
	}
	checker, err := txcheck.New(txcheck.Options{Origin: origin.String(), Window: cfg.Window})
	if err != nil {
		return nil, err
	}
	client, err := rocketmq.New(rocketmq.Options{
		NameServers: nameServer, Group: group, Instance: cfg.Instance, Logger: log, SendTimeout: 4 * time.Second, Check: checker.Check,
	})
	if err != nil {
		return nil, err
	}
	topics := make([]string, len(cfg.Topics))
	for i, topic := range cfg.Topics {
		topics[i] = topic.Name
	}
	deadline := time.Now().Add(patience)
	for err = client.Bind(ctx, topics); err != nil; err = client.Bind(ctx, topics) {
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("bind: %w", err)
		}
	}
	p := &parts{pool: pool, store: store, client: client, routes: make(chan struct{})}
	go func() {
		defer close(p.routes)
		_ = client.Run(ctx)
	}()
	return p, nil
}

func (p *parts) relay(cfg relay.Config, broker relay.Broker, log *slog.Logger) (*relay.Relay, error) {
	metrics, err := relay.NewMetrics(noop.Meter{})
	if err != nil {
		return nil, err
	}
	return relay.New(cfg, relay.Options{Store: p.store, Broker: broker, Log: log, Metrics: metrics, Progress: func() {}})
}

// close returns when all is closed; the context given to connect must be done.
func (p *parts) close() {
	<-p.routes
	_ = p.client.Close()
	p.pool.Close()
}
