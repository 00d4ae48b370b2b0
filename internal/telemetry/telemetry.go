package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	promexporter "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// scope names the relay as the source of its metrics and traces.
const scope = "github.com/outbox-relay/outbox-relay"

// Options describe the process. All are required.
type Options struct {
	Version  string
	Instance string
	Log      *slog.Logger // for what goes wrong with exporting
}

// Telemetry collects metrics and traces. Metrics are always there for Prometheus; both are exported by OTLP only if
// OpenTelemetry's environment variables ask for it, see otlp.go.
type Telemetry struct {
	meters   *sdkmetric.MeterProvider
	tracers  trace.TracerProvider
	registry *prometheus.Registry
	stops    []func(context.Context) error
}

// New sets up what the environment asks for. It connects to nothing: a collector that is away is logged, not an error.
func New(ctx context.Context, o Options) (*Telemetry, error) {
	otel.SetErrorHandler(&errorLog{log: o.Log})
	about, err := describe(ctx, o)
	if err != nil {
		return nil, err
	}
	t := &Telemetry{registry: prometheus.NewRegistry(), tracers: noop.NewTracerProvider()}
	if err := t.registry.Register(collectors.NewGoCollector()); err != nil {
		return nil, fmt.Errorf("collect Go's metrics: %w", err)
	}
	if err := t.registry.Register(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})); err != nil {
		return nil, fmt.Errorf("collect the process's metrics: %w", err)
	}
	if err := t.addMeters(ctx, about); err != nil {
		return nil, err
	}
	if err := t.addTracers(ctx, about); err != nil {
		return nil, errors.Join(err, t.Shutdown(ctx))
	}
	return t, nil
}

// describe says who is measured. OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win.
func describe(ctx context.Context, o Options) (*resource.Resource, error) {
	about, err := resource.New(ctx,
		resource.WithTelemetrySDK(),
		resource.WithAttributes(
			attribute.String("service.name", "outbox-relay"),
			attribute.String("service.version", o.Version),
			attribute.String("service.instance.id", o.Instance),
		),
		resource.WithFromEnv(),
	)
	if err != nil {
		return nil, fmt.Errorf("describe the process for OpenTelemetry: %w", err)
	}
	return about, nil
}

func (t *Telemetry) addMeters(ctx context.Context, about *resource.Resource) error {
	reader, err := promexporter.New(promexporter.WithRegisterer(t.registry), promexporter.WithoutScopeInfo())
	if err != nil {
		return fmt.Errorf("show metrics to Prometheus: %w", err)
	}
	options := []sdkmetric.Option{sdkmetric.WithReader(reader), sdkmetric.WithResource(about)}
	exporter, err := otlpMetrics(ctx)
	if err != nil {
		return err
	}
	if exporter != nil {
		options = append(options, sdkmetric.WithReader(exporter))
	}
	t.meters = sdkmetric.NewMeterProvider(options...)
	t.stops = append(t.stops, t.meters.Shutdown)
	return nil
}

func (t *Telemetry) addTracers(ctx context.Context, about *resource.Resource) error {
	exporter, err := otlpTraces(ctx)
	if err != nil || exporter == nil {
		return err
	}
	tracers := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(about))
	t.tracers = tracers
	t.stops = append(t.stops, tracers.Shutdown)
	return nil
}

// Meter returns what instruments are made with.
func (t *Telemetry) Meter() metric.Meter { return t.meters.Meter(scope) }

// Tracer returns what spans are made with.
func (t *Telemetry) Tracer() trace.Tracer { return t.tracers.Tracer(scope) }

// Metrics answers to Prometheus.
func (t *Telemetry) Metrics() http.Handler {
	return promhttp.HandlerFor(t.registry, promhttp.HandlerOpts{Registry: t.registry, ErrorHandling: promhttp.ContinueOnError})
}

// Shutdown exports what is not exported yet, while ctx allows.
func (t *Telemetry) Shutdown(ctx context.Context) error {
	var errs []error
	for _, stop := range t.stops {
		errs = append(errs, stop(ctx))
	}
	t.stops = nil
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("export the last metrics and traces: %w", err)
	}
	return nil
}

// errorLog logs what goes wrong inside OpenTelemetry: once, until it changes. A collector that is away would otherwise be
// reported with every export.
type errorLog struct {
	log  *slog.Logger
	mu   sync.Mutex
	last string
}

// Handle implements otel.ErrorHandler.
func (e *errorLog) Handle(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if text := err.Error(); text != e.last {
		e.last = text
		e.log.Warn("telemetry cannot be exported", slog.String("error", text))
	}
}
