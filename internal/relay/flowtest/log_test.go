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
}

func (h *testHandler) Enabled(context.Context, slog.Level) bool { return true }

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
	h.t.Log(line.String())
	return nil
}

func (h *testHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	c := *h
	c.attrs = append(append([]slog.Attr(nil), h.attrs...), attrs...)
	return &c
}

func (h *testHandler) WithGroup(string) slog.Handler { return h }
