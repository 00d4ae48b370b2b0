package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"github.com/outbox-relay/outbox-relay/internal/config"
	"github.com/outbox-relay/outbox-relay/internal/postgres"
	"github.com/outbox-relay/outbox-relay/internal/relay"
	"github.com/outbox-relay/outbox-relay/internal/rocketmq"
	"github.com/outbox-relay/outbox-relay/internal/telemetry"
)

// What must hold before the relay is ready.
const (
	conditionDatabase = "database" // reached, with the right schema
	conditionTopics   = "topics"   // all bound
	conditionSession  = "session"  // registered in the lease table, and the producer group with the brokers
)

// teardown bounds the closing of what is left once the flow has stopped: it is only telemetry and connections.
const teardown = 5 * time.Second

// Process is what Run needs beside the settings.
type Process struct {
	Version string
	Log     *slog.Logger
	// Serving, if not nil, is called with the address of /metrics, /healthz and /readyz once they are served.
	Serving func(address string)
	// At, if not nil, is called at named points of the flow, where a fault harness ends the process. Nil in production.
	At func(relay.Point)
	// Reload, if not zero, changes settings while the relay runs.
	Reload Reload
	// Clock tells the time that messages are born at. Nil means time.Now; a fault harness sets it wrong.
	Clock func() time.Time
}

// app is one run of the relay.
type app struct {
	cfg        *config.Config
	version    string
	log        *slog.Logger
	base       *slog.Logger // without a component
	serving    func(string)
	at         func(relay.Point)
	clock      func() time.Time
	progress   *telemetry.Progress
	conditions *telemetry.Conditions
	closers    closers

	telemetry *telemetry.Telemetry
	metrics   *relay.Metrics
	pool      *pgxpool.Pool
	store     *postgres.Store
	origin    string
	client    *rocketmq.Client
	clientID  string                      // how brokers list it
	relay     atomic.Pointer[relay.Relay] // once the flow runs

	unexamined examination // by watch, once it runs

	examined map[string]bool                 // brokers that were routed so far
	brokers  map[string]relay.BrokerSettings // of those that could be asked; by watch, once it runs

	// By watch, once it runs.
	reload    Reload
	takeovers []takeover
	now       *config.Config    // cfg, with what was taken over since
	bound     map[string]bool   // topics
	unbound   map[string]string // topics that were to be bound, and why they are not
	bindTried time.Time
	retuned   time.Time     // when the relay was last given other settings
	reread    chan struct{} // files with credentials are to be read now
}

// Run relays until ctx is done, and then returns nil if everything under way was finished within shutdown.grace. It returns
// earlier only for what waiting does not mend.
func Run(ctx context.Context, cfg *config.Config, p Process) error {
	a := &app{
		cfg: cfg, version: p.Version, log: telemetry.Component(p.Log, "app"), base: p.Log, serving: p.Serving, at: p.At, clock: p.Clock, reload: p.Reload, now: cfg,
		examined: map[string]bool{}, brokers: map[string]relay.BrokerSettings{}, bound: map[string]bool{}, unbound: map[string]string{}, reread: make(chan struct{}, 1),
		progress:   telemetry.NewProgress(time.Now),
		conditions: telemetry.NewConditions(conditionDatabase, conditionTopics, conditionSession),
	}
	a.closers.log = a.log
	a.log.InfoContext(ctx, "starting", slog.String("version", p.Version), slog.String("instance", cfg.Instance),
		slog.String("database", cfg.Database.URL.String()), slog.String("schema", cfg.Database.Schema),
		slog.Any("nameservers", cfg.NameServers), slog.String("group", cfg.Group), slog.Any("topics", topicNames(a.topics())))
	for _, warning := range cfg.Warnings() {
		a.log.WarnContext(ctx, "setting", slog.String("warning", warning))
	}
	err := a.run(ctx)
	if ctx.Err() != nil && errors.Is(err, context.Cause(ctx)) {
		err = nil // Stopped before it had begun.
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), teardown)
	defer cancel()
	if closeErr := a.closers.close(last); closeErr != nil {
		a.log.WarnContext(ctx, "not everything was closed in good order", slog.String("error", closeErr.Error()))
	}
	return err
}

// run starts the parts, each of which needs those before it.
func (a *app) run(ctx context.Context) error {
	for _, start := range []func(context.Context) error{a.startTelemetry, a.serve, a.reachDatabase, a.reachBroker, a.flow} {
		if err := start(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) startTelemetry(ctx context.Context) (err error) {
	a.telemetry, err = telemetry.New(ctx, telemetry.Options{
		Version: a.version, Instance: a.cfg.Instance, Log: telemetry.Component(a.base, "telemetry"),
	})
	if err != nil {
		return err
	}
	a.closers.add("telemetry", a.telemetry.Shutdown)
	a.metrics, err = relay.NewMetrics(a.telemetry.Meter())
	return err
}

// serve comes before anything is waited for: what waits must be seen to be alive.
func (a *app) serve(ctx context.Context) error {
	address := ""
	if a.cfg.HTTP.Listen != "" {
		handler := telemetry.Handler(a.telemetry.Metrics(), a.progress, a.conditions)
		if a.cfg.HTTP.Pprof {
			handler = telemetry.WithProfiles(handler)
		}
		server, err := telemetry.Listen(ctx, a.cfg.HTTP.Listen, handler, a.log)
		if err != nil {
			return err
		}
		a.closers.add("metrics and health", server.Stop)
		address = server.Addr()
		a.log.InfoContext(ctx, "serving metrics and health", slog.String("address", address))
	}
	if a.serving != nil {
		a.serving(address)
	}
	return nil
}

// flow runs the relay until ctx is done, and then for as long as it needs to finish what is under way: at most
// shutdown.grace.
func (a *app) flow(ctx context.Context) error {
	r, err := relay.New(a.relayConfig(), relay.Options{
		Store: a.store, Broker: a.client, Log: telemetry.Component(a.base, "relay").With(slog.String("client_id", a.clientID)),
		Metrics: a.metrics, Span: a.spanAttributes(),
		Tracer: a.telemetry.Tracer(), Progress: a.progress.Tick,
	})
	if err != nil {
		return err
	}
	a.relay.Store(r)
	for broker, settings := range a.brokers {
		r.SetBroker(broker, settings)
	}
	a.metrics.Watch(r.LeaseAge, func() int {
		if state := r.State(); state != nil {
			return bits.OnesCount64(state.Shards)
		}
		return 0
	})
	// The routes must stay fresh until the relay has finished, which is after ctx is done.
	after, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	g, parts := errgroup.WithContext(after)
	g.Go(func() error { return a.client.Run(parts) })
	g.Go(func() error { return a.watch(parts, r) })
	a.onReload(a.rereadSoon, "credentials.access_key", "credentials.secret_key", "credentials.security_token")
	g.Go(func() error { return a.rereadCredentials(parts) })
	g.Go(func() error {
		defer cancel()
		return r.Run(ctx)
	})
	done := make(chan error, 1)
	go func() { done <- g.Wait() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	a.log.InfoContext(ctx, "stopping", slog.String("grace", a.cfg.Shutdown.Grace.String()))
	select {
	case err := <-done:
		return err
	case <-time.After(a.cfg.Shutdown.Grace):
		return fmt.Errorf("finish what is under way within shutdown.grace (%s): %w; the next relay finishes it", a.cfg.Shutdown.Grace, context.DeadlineExceeded)
	}
}
