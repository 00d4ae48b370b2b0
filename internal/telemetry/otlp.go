package telemetry

import (
	"context"
	"fmt"
	"os"
	"strings"

	"go.opentelemetry.io/contrib/exporters/autoexport"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// otlpMetrics returns the exporter that OTEL_METRICS_EXPORTER and OTEL_EXPORTER_OTLP_… ask for, or nil.
func otlpMetrics(ctx context.Context) (sdkmetric.Reader, error) {
	// Prometheus is served anyway, at http.listen.
	if !asked("METRICS") || os.Getenv("OTEL_METRICS_EXPORTER") == "prometheus" {
		return nil, nil
	}
	reader, err := autoexport.NewMetricReader(ctx)
	if err != nil {
		return nil, fmt.Errorf("export metrics as OpenTelemetry's variables say (OTEL_METRICS_EXPORTER=%q): %w", os.Getenv("OTEL_METRICS_EXPORTER"), err)
	}
	return reader, nil
}

// otlpTraces returns the exporter that OTEL_TRACES_EXPORTER and OTEL_EXPORTER_OTLP_… ask for, or nil.
func otlpTraces(ctx context.Context) (sdktrace.SpanExporter, error) {
	if !asked("TRACES") {
		return nil, nil
	}
	exporter, err := autoexport.NewSpanExporter(ctx)
	if err != nil {
		return nil, fmt.Errorf("export traces as OpenTelemetry's variables say (OTEL_TRACES_EXPORTER=%q): %w", os.Getenv("OTEL_TRACES_EXPORTER"), err)
	}
	return exporter, nil
}

// asked reports whether the environment asks for the export of a signal. OpenTelemetry's own default is to export to
// localhost, which on most machines would only make errors.
func asked(signal string) bool {
	if strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") {
		return false
	}
	if exporter := os.Getenv("OTEL_" + signal + "_EXPORTER"); exporter != "" {
		return exporter != "none"
	}
	return os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || os.Getenv("OTEL_EXPORTER_OTLP_"+signal+"_ENDPOINT") != ""
}
