package flowtest

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// testHandler writes a relay's log to the test's, and counts warnings.
type testHandler struct {
	t        *testing.T
	name     string
	attrs    []slog.Attr
	warnings *atomic.Int64
	over     *atomic.Bool // the official client logs for as long as the process lives
}

func newTestHandler(t *testing.T, name string, warnings *atomic.Int64) *testHandler {
	t.Helper()
	h := &testHandler{t: t, name: name, warnings: warnings, over: &atomic.Bool{}}
	t.Cleanup(func() { h.over.Store(true) })
	return h
}

func (h *testHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelInfo }

func (h *testHandler) Handle(_ context.Context, r slog.Record) error {
	var line strings.Builder
	fmt.Fprintf(&line, "%s %s %s: %s", time.Now().Format("05.000"), h.name, r.Level, r.Message)
	for _, a := range h.attrs {
		fmt.Fprintf(&line, " %s", a)
	}
	r.Attrs(func(a slog.Attr) bool {
		fmt.Fprintf(&line, " %s", a)
		return true
	})
	if r.Level >= slog.LevelWarn {
		h.warnings.Add(1)
	}
	if !h.over.Load() {
		h.t.Log(line.String())
	}
	return nil
}

func (h *testHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	c := *h
	c.attrs = append(append([]slog.Attr(nil), h.attrs...), attrs...)
	return &c
}

func (h *testHandler) WithGroup(string) slog.Handler { return h }
