package telemetry

import (
	"io"
	"log/slog"
)

// NewLogger returns a logger that writes lines of JSON, or text for people where format is "text", to w.
func NewLogger(w io.Writer, level slog.Leveler, format string) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if format == "text" {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}

// Component returns log for one part of the relay.
func Component(log *slog.Logger, name string) *slog.Logger {
	return log.With(slog.String("component", name))
}
