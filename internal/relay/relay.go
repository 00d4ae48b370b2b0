package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// Relay publishes the rows of one outbox.
type Relay struct {
	cfg      Config
	store    Store
	broker   Broker
	origin   string
	topics   map[string]Topic // as bound
	log      *slog.Logger
	metrics  *Metrics
	clocks   *clocks
	traces   traces
	progress func()

	carriedMu sync.Mutex
	carried   []Closing

	reload   reload
	limits   limits
	settings brokerSettings

	current atomic.Pointer[State]
	renewed atomic.Pointer[time.Time] // the last renewal of the lease
}

// State is what a relay's session looks like from outside.
type State struct {
	Session uuid.UUID
	Shards  uint64
}

// Options are what a relay needs beside its settings. All but Tracer and Span are required.
type Options struct {
	Store    Store
	Broker   Broker
	Log      *slog.Logger
	Metrics  *Metrics
	Tracer   trace.Tracer         // nil means no spans
	Span     []attribute.KeyValue // further attributes of every span
	Progress func()               // called whenever the relay has done something, at least every few seconds; must not block
}

// New makes a relay. It does nothing until Run is called.
func New(cfg Config, o Options) (*Relay, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("relay settings: %w", err)
	}
	return &Relay{
		cfg: cfg, store: o.Store, broker: o.Broker, log: o.Log, metrics: o.Metrics, progress: o.Progress,
		traces: traces{tracer: o.Tracer, sends: newSendLog(cfg, o.Log), more: o.Span}, topics: make(map[string]Topic),
		settings: brokerSettings{known: make(map[string]BrokerSettings), late: make(map[string]time.Time)}, clocks: newClocks(cfg, o.Broker, o.Log, o.Metrics),
	}, nil
}

// Run relays until ctx is done: one session after the other, because whatever goes wrong with Postgres ends a session. When
// ctx is done it stops reading, finishes what is under way, gives its lease back and returns nil.
func (r *Relay) Run(ctx context.Context) error {
	wait := Backoff{Initial: 100 * time.Millisecond, Factor: 2, Jitter: 0.2, Max: 3 * time.Second}
	for failures := 0; ; failures++ {
		r.progress()
		began := time.Now()
		turn, stop := r.turn(ctx)
		err := r.begin(turn)
		if err == nil {
			err = r.live(turn)
		}
		reloaded := turn.Err() != nil
		stop()
		if ctx.Err() != nil {
			return nil //nolint:nilerr // stopping while a server does not answer is a stop in good order
		}
		if reloaded {
			failures = -1
			continue
		}
		if errors.Is(err, ErrBinding) || errors.Is(err, ErrMoved) {
			return err
		}
		if time.Since(began) > r.cfg.Lease {
			failures = 0
		}
		r.log.WarnContext(ctx, "session over", slog.String("error", err.Error()))
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait.Wait(failures)):
		}
	}
}

// State returns the running session, or nil while there is none.
func (r *Relay) State() *State { return r.current.Load() }

// LeaseAge returns the time since the lease was last renewed, 0 while there is no session.
func (r *Relay) LeaseAge() time.Duration {
	renewed := r.renewed.Load()
	if r.current.Load() == nil || renewed == nil {
		return 0
	}
	return time.Since(*renewed)
}

// BrokerTime returns the time by the brokers' clocks, as far as they are known; where they differ, the earliest.
func (r *Relay) BrokerTime() time.Time { return r.clocks.earliest() }
