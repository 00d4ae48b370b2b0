package telemetry

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// clock is a clock that a test sets.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func get(t *testing.T, h http.Handler, path string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	return w.Code, w.Body.String()
}

func TestHealthzFailsOnlyWhenTheLoopIsStuck(t *testing.T) {
	t.Parallel()
	c := &clock{now: time.Unix(1_700_000_000, 0)}
	progress, conditions := NewProgress(c.Now), NewConditions("database")
	h := Handler(http.NotFoundHandler(), progress, conditions)

	conditions.Set("database", "connection refused")
	code, body := get(t, h, "/healthz")
	require.Equal(t, http.StatusOK, code, "an outage is not its failure")
	require.JSONEq(t, `{"alive":true,"idle_seconds":0}`, body)

	c.Add(60 * time.Second)
	code, _ = get(t, h, "/healthz")
	require.Equal(t, http.StatusOK, code)

	c.Add(time.Millisecond)
	code, body = get(t, h, "/healthz")
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.JSONEq(t, `{"alive":false,"idle_seconds":60.001}`, body)

	progress.Tick()
	code, _ = get(t, h, "/healthz")
	require.Equal(t, http.StatusOK, code, "it can recover")
}

func TestReadyzListsEveryCondition(t *testing.T) {
	t.Parallel()
	conditions := NewConditions("database", "topics", "session")
	h := Handler(http.NotFoundHandler(), NewProgress(time.Now), conditions)

	code, body := get(t, h, "/readyz")
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.JSONEq(t, `{"ready":false,"conditions":[{"name":"database","ok":false,"reason":"not yet"},
		{"name":"topics","ok":false,"reason":"not yet"},{"name":"session","ok":false,"reason":"not yet"}]}`, body)

	require.True(t, conditions.Set("database", ""))
	require.False(t, conditions.Set("database", ""), "no news")
	require.True(t, conditions.Set("topics", ""))
	require.True(t, conditions.Set("session", "no broker answers"))
	require.False(t, conditions.Ready())
	code, body = get(t, h, "/readyz")
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.JSONEq(t, `{"ready":false,"conditions":[{"name":"database","ok":true},{"name":"topics","ok":true},
		{"name":"session","ok":false,"reason":"no broker answers"}]}`, body)

	require.True(t, conditions.Set("session", ""))
	require.True(t, conditions.Ready())
	code, body = get(t, h, "/readyz")
	require.Equal(t, http.StatusOK, code)
	require.JSONEq(t, `{"ready":true,"conditions":[{"name":"database","ok":true},{"name":"topics","ok":true},{"name":"session","ok":true}]}`, body)

	require.True(t, conditions.Set("database", "connection lost"), "it can be lost again")
	require.False(t, conditions.Set("nonsense", ""))
	require.False(t, conditions.Ready())
}

func TestServer(t *testing.T) {
	t.Parallel()
	log := slog.New(slog.DiscardHandler)
	s, err := Listen(t.Context(), "127.0.0.1:0", Handler(http.NotFoundHandler(), NewProgress(time.Now), NewConditions()), log)
	require.NoError(t, err)

	_, err = Listen(t.Context(), s.Addr(), http.NotFoundHandler(), log)
	require.ErrorContains(t, err, "address already in use")

	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/": 404, "/metrics": 404} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.Addr()+path, nil)
		require.NoError(t, err)
		response, err := client.Do(request)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, want, response.StatusCode, path)
	}
	require.NoError(t, s.Stop(t.Context()))
	again, err := Listen(t.Context(), s.Addr(), http.NotFoundHandler(), log)
	require.NoError(t, err, "the port is free again")
	require.NoError(t, again.Stop(t.Context()))
}

func TestServerCutsWhatTakesTooLong(t *testing.T) {
	t.Parallel()
	entered := make(chan struct{})
	stuck := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
	})
	s, err := Listen(t.Context(), "127.0.0.1:0", stuck, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	failed := make(chan error, 1)
	go func() {
		request, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodGet, "http://"+s.Addr(), nil)
		if err == nil {
			var response *http.Response
			if response, err = (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request); err == nil {
				err = response.Body.Close()
			}
		}
		failed <- err
	}()
	<-entered
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, s.Stop(ctx), context.DeadlineExceeded)
	require.Error(t, <-failed)
}

func TestLoggerWritesJSONAtItsLevel(t *testing.T) {
	t.Parallel()
	var lines writer
	log := Component(NewLogger(&lines, slog.LevelWarn, "json"), "relay")
	log.Info("not this")
	log.Warn("this", slog.String("key", "value"))
	var line map[string]any
	require.NoError(t, json.Unmarshal(lines.text(), &line))
	require.Equal(t, "this", line["msg"])
	require.Equal(t, "WARN", line["level"])
	require.Equal(t, "relay", line["component"])
	require.Equal(t, "value", line["key"])

	var plain writer
	NewLogger(&plain, slog.LevelInfo, "text").Info("this")
	require.Contains(t, string(plain.text()), "level=INFO msg=this")
}

// writer collects what is written to it.
type writer struct {
	mu   sync.Mutex
	data []byte
}

func (w *writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.data = append(w.data, p...)
	return len(p), nil
}

func (w *writer) text() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]byte(nil), w.data...)
}
