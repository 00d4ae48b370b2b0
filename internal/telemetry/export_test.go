package telemetry

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/config"
)

// Whatever a scraper or a browser asks for, it is given the classic text format, and told so.
func TestFormatOfTheMetrics(t *testing.T) {
	unset(t)
	tel := start(t, io.Discard)
	h := Handler(tel.Metrics(), nil, nil)
	for accept, want := range map[string]string{
		"":                                "text/plain; version=0.0.4",
		"*/*":                             "text/plain; version=0.0.4",
		"text/plain;version=0.0.4":        "text/plain; version=0.0.4",
		"text/html,application/xhtml+xml": "text/plain; version=0.0.4",
		"application/json":                "text/plain; version=0.0.4",
		"application/openmetrics-text; version=1.0.0": "text/plain; version=0.0.4",
		"text/plain;version=0.0.4;q=0.5,*/*;q=0.1":    "text/plain; version=0.0.4",
	} {
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil)
		r.Header.Set("Accept", accept)
		h.ServeHTTP(w, r)
		require.Equal(t, http.StatusOK, w.Code, accept)
		require.True(t, strings.HasPrefix(w.Header().Get("Content-Type"), want), "%q: %s", accept, w.Header().Get("Content-Type"))
		require.Contains(t, w.Body.String(), "# TYPE go_goroutines gauge\n")
	}
	require.NoError(t, tel.Shutdown(t.Context()))
	require.NoError(t, tel.Shutdown(t.Context()), "a second time there is nothing left to export")
}

// OpenTelemetry's own default is to export to port 4317 or 4318 of this machine. Where nothing is asked for, nobody is connected
// to: the test would see it, if the ports are free to listen on.
func TestNobodyIsConnectedToUnasked(t *testing.T) {
	unset(t)
	connected := make(chan string, 16)
	for _, port := range []string{"4317", "4318"} {
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:"+port)
		if err != nil {
			continue // Somebody runs a collector: then nothing can be seen on this port.
		}
		defer l.Close() //nolint:errcheck // It only listens.
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				connected <- l.Addr().String()
				_ = conn.Close()
			}
		}()
	}
	var lines writer
	tel := start(t, &lines)
	require.Len(t, tel.stops, 1, "no exporter of traces")
	require.NoError(t, use(t, tel))
	select {
	case address := <-connected:
		t.Fatalf("somebody connected to %s", address)
	default:
	}
	require.Empty(t, lines.text(), "and nothing went wrong")
}

func TestAsked(t *testing.T) {
	for name, test := range map[string]struct {
		environ         map[string]string
		metrics, traces bool
	}{
		"an endpoint":                    {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, true, true},
		"an endpoint for metrics":        {map[string]string{"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://c:4318"}, true, false},
		"an exporter, and no endpoint":   {map[string]string{"OTEL_TRACES_EXPORTER": "console"}, false, true},
		"none wins over an endpoint":     {map[string]string{"OTEL_METRICS_EXPORTER": "none", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://c"}, false, false},
		"disabled wins over an exporter": {map[string]string{"OTEL_TRACES_EXPORTER": "otlp", "OTEL_SDK_DISABLED": "TRUE"}, false, false},
		"not disabled":                   {map[string]string{"OTEL_TRACES_EXPORTER": "otlp", "OTEL_SDK_DISABLED": "false"}, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			unset(t)
			for name, value := range test.environ {
				t.Setenv(name, value)
			}
			require.Equal(t, test.metrics, asked("METRICS"))
			require.Equal(t, test.traces, asked("TRACES"))
		})
	}
}

// Whoever logs a value of the settings, by whatever way, does not log the password in it.
func TestPasswordsAreNotLogged(t *testing.T) {
	t.Parallel()
	u, err := config.NewDatabaseURL("postgres://relay:hunter2@db/shop")
	require.NoError(t, err)
	for _, format := range []string{"json", "text"} {
		var out bytes.Buffer
		log := Component(NewLogger(&out, slog.LevelDebug, format), "app").With(slog.Any("url", u))
		log.WithGroup("g").Info("starting", slog.Any("database", config.Database{URL: u}), slog.Any("pointer", &u), slog.Any("list", []any{u}))
		log.Error("stopped", slog.Any("settings", config.Config{Database: config.Database{URL: u}}), slog.String("text", u.String()))
		require.NotContains(t, out.String(), "hunter2", format)
		require.Contains(t, out.String(), "postgres://relay@db:5432/shop", format)
		require.Equal(t, 2, strings.Count(out.String(), "\n"), "one line each")
	}
}

func TestLevelsOfTheLogger(t *testing.T) {
	t.Parallel()
	levels := []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}
	for i, least := range levels {
		var out bytes.Buffer
		log := NewLogger(&out, least, "json")
		for _, l := range levels {
			log.Log(t.Context(), l, "a\nb")
		}
		written := bytes.Split(bytes.TrimSpace(out.Bytes()), []byte("\n"))
		require.Len(t, written, len(levels)-i, least)
		for j, line := range written {
			var fields map[string]any
			require.NoError(t, json.Unmarshal(line, &fields))
			require.Equal(t, levels[i+j].String(), fields["level"])
			require.Equal(t, "a\nb", fields["msg"])
		}
	}
}
