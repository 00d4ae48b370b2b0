package simtest

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// trace remembers the last events of a run, to be printed when something is wrong.
type trace struct {
	mu     sync.Mutex
	began  time.Time
	events []traced
	tally  map[string]int // of events, by format; of what relays log, by message
}

type traced struct {
	at     time.Duration
	format string
	args   []any
}

// traceLength is how many events are kept.
const traceLength = 20_000

func newTrace() *trace { return &trace{began: time.Now(), tally: make(map[string]int)} }

// add notes an event. The arguments must not change afterwards: they are printed at the end, if at all.
func (t *trace) add(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.events) >= traceLength {
		t.events = append(t.events[:0], t.events[traceLength/2:]...)
	}
	t.tally[format]++
	t.events = append(t.events, traced{at: time.Since(t.began), format: format, args: args})
}

// last returns the last n events that hold one of the words; without words, of all.
func (t *trace) last(n int, words ...string) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var lines []string
	for _, e := range t.events {
		line := fmt.Sprintf("%11.6f  ", e.at.Seconds()) + fmt.Sprintf(e.format, e.args...)
		if len(words) == 0 || containsAny(line, words) {
			lines = append(lines, line)
		}
	}
	return lines[max(0, len(lines)-n):]
}

func containsAny(line string, words []string) bool {
	for _, w := range words {
		if strings.Contains(line, w) {
			return true
		}
	}
	return false
}

// traceLog is what a relay logs: it goes into the trace, and a broken promise is a violation.
type traceLog struct {
	slog.Handler
	life *life
}

func newTraceLog(l *life) *slog.Logger { return slog.New(traceLog{slog.DiscardHandler, l}) }

// Enabled leaves out debug messages.
func (h traceLog) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }

// Handle notes the message and its attributes.
func (h traceLog) Handle(_ context.Context, r slog.Record) error {
	var text strings.Builder
	r.Attrs(func(a slog.Attr) bool {
		fmt.Fprintf(&text, " %s=%v", a.Key, a.Value)
		return true
	})
	h.life.w.trace.add("%s logs: "+strings.ReplaceAll(r.Message, "%", "%%")+"%s", h.life.name, text.String())
	if strings.HasPrefix(r.Message, "broken promise") && !h.life.isDead() {
		h.life.w.audit.violate("a relay reports a %s%s", r.Message, text.String())
	}
	return nil
}

// WithAttrs and WithGroup are not used by the relay.
func (h traceLog) WithAttrs([]slog.Attr) slog.Handler { return h }

// WithGroup returns the handler unchanged.
func (h traceLog) WithGroup(string) slog.Handler { return h }
