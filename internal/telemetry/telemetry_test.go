package telemetry

import (
	"compress/gzip"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	collectormetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	collectortrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"
)

// These tests set environment variables, which OpenTelemetry reads itself, so they do not run in parallel.

// unset clears what the machine that runs the tests may have set.
func unset(t *testing.T) {
	t.Helper()
	for _, name := range []string{
		"OTEL_SDK_DISABLED", "OTEL_METRICS_EXPORTER", "OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_SERVICE_NAME",
		"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_RESOURCE_ATTRIBUTES",
	} {
		t.Setenv(name, "")
	}
}

func start(t *testing.T, lines io.Writer) *Telemetry {
	t.Helper()
	tel, err := New(t.Context(), Options{Version: "v1.2.3", Instance: "pod-7", Log: NewLogger(lines, slog.LevelInfo, "json")})
	require.NoError(t, err)
	return tel
}

func TestPrometheusSeesTheMetrics(t *testing.T) {
	unset(t)
	tel := start(t, io.Discard)
	defer func() { require.NoError(t, tel.Shutdown(context.WithoutCancel(t.Context()))) }()
	counter, err := tel.Meter().Int64Counter("outbox_relay.test")
	require.NoError(t, err)
	counter.Add(t.Context(), 42)
	_, span := tel.Tracer().Start(t.Context(), "test")
	require.False(t, span.IsRecording(), "nobody asked for traces")
	span.End()

	server := httptest.NewServer(Handler(tel.Metrics(), NewProgress(time.Now), NewConditions()))
	defer server.Close()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/metrics", nil)
	require.NoError(t, err)
	response, err := server.Client().Do(request)
	require.NoError(t, err)
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusOK, response.StatusCode)
	text := string(body)
	require.Contains(t, text, "\noutbox_relay_test_total 42\n")
	require.Contains(t, text, "\ngo_goroutines ")
	require.Contains(t, text, "\nprocess_start_time_seconds ")
	for _, label := range []string{`service_name="outbox-relay"`, `service_version="v1.2.3"`, `service_instance_id="pod-7"`} {
		require.Contains(t, text, label)
	}
}

// collector is an OTLP receiver.
type collector struct {
	*httptest.Server
	mu       sync.Mutex
	metrics  []*collectormetrics.ExportMetricsServiceRequest
	traces   []*collectortrace.ExportTraceServiceRequest
	requests int
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body io.Reader = r.Body
		if r.Header.Get("Content-Encoding") == "gzip" {
			unzipped, err := gzip.NewReader(r.Body)
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			body = unzipped
		}
		data, err := io.ReadAll(body)
		if err != nil || c.take(r.URL.Path, data) != nil {
			http.Error(w, "cannot be decoded", http.StatusBadRequest)
		}
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *collector) take(path string, data []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests++
	if path == "/v1/metrics" {
		m := &collectormetrics.ExportMetricsServiceRequest{}
		c.metrics = append(c.metrics, m)
		return proto.Unmarshal(data, m)
	}
	tr := &collectortrace.ExportTraceServiceRequest{}
	c.traces = append(c.traces, tr)
	return proto.Unmarshal(data, tr)
}

// use counts something and makes a span, and shuts down.
func use(t *testing.T, tel *Telemetry) error {
	t.Helper()
	counter, err := tel.Meter().Int64Counter("outbox_relay.test")
	require.NoError(t, err)
	counter.Add(t.Context(), 42)
	_, span := tel.Tracer().Start(t.Context(), "send orders")
	span.End()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 5*time.Second)
	defer cancel()
	return tel.Shutdown(ctx)
}

func TestOTLPWhenTheEnvironmentAsksForIt(t *testing.T) {
	unset(t)
	c := newCollector(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", c.URL)
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
	require.NoError(t, use(t, start(t, io.Discard)))

	require.Len(t, c.metrics, 1, "the last metrics are exported at shutdown")
	require.Len(t, c.traces, 1)
	text := c.metrics[0].String()
	require.Contains(t, text, "outbox_relay.test")
	require.Contains(t, text, "as_int:42")
	require.Contains(t, text, `"outbox-relay"`)
	require.Contains(t, text, `"pod-7"`)
	require.Contains(t, text, `"deployment.environment.name"`)
	require.Contains(t, c.traces[0].String(), "send orders")
}

func TestWhatTheEnvironmentDoesNotAskForIsNotExported(t *testing.T) {
	c := newCollector(t)
	for name, test := range map[string]struct {
		environ         map[string]string
		metrics, traces bool
	}{
		"nothing":             {},
		"disabled":            {environ: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": c.URL, "OTEL_SDK_DISABLED": "true"}},
		"no traces":           {environ: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": c.URL, "OTEL_TRACES_EXPORTER": "none"}, metrics: true},
		"no metrics":          {environ: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": c.URL, "OTEL_METRICS_EXPORTER": "none"}, traces: true},
		"prometheus is there": {environ: map[string]string{"OTEL_METRICS_EXPORTER": "prometheus"}},
		"one signal":          {environ: map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": c.URL + "/v1/traces"}, traces: true},
	} {
		t.Run(name, func(t *testing.T) {
			unset(t)
			c.metrics, c.traces, c.requests = nil, nil, 0
			for name, value := range test.environ {
				t.Setenv(name, value)
			}
			require.NoError(t, use(t, start(t, io.Discard)))
			require.Equal(t, test.metrics, len(c.metrics) > 0)
			require.Equal(t, test.traces, len(c.traces) > 0)
		})
	}
}

func TestCollectorThatIsAwayIsLoggedOnceAndDoesNotHoldUpTheStop(t *testing.T) {
	unset(t)
	away := httptest.NewServer(http.NotFoundHandler())
	away.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", away.URL)
	var lines writer
	tel := start(t, &lines)
	began := time.Now()
	err := use(t, tel)
	require.Error(t, err)
	require.ErrorContains(t, err, "export the last metrics and traces")
	require.Less(t, time.Since(began), 20*time.Second)

	handler := &errorLog{log: NewLogger(&lines, slog.LevelInfo, "json")}
	for range 3 {
		handler.Handle(io.EOF)
	}
	handler.Handle(io.ErrUnexpectedEOF)
	require.Equal(t, 1, strings.Count(string(lines.text()), `"error":"EOF"`))
	require.Equal(t, 1, strings.Count(string(lines.text()), `"error":"unexpected EOF"`))
}

func TestMistakeInTheVariables(t *testing.T) {
	unset(t)
	t.Setenv("OTEL_TRACES_EXPORTER", "carrier-pigeon")
	_, err := New(t.Context(), Options{Log: slog.New(slog.DiscardHandler)})
	require.ErrorContains(t, err, "export traces as OpenTelemetry's variables say")
	require.ErrorContains(t, err, "carrier-pigeon")
}
