package rocketmq

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"github.com/apache/rocketmq-client-go/v2/rlog"
)

// officialLog passes on what the official client logs, one level lower than it thinks: none of it concerns a message, and
// what matters is logged by us. Only fields that cannot hold a message are passed on.
type officialLog struct{ log *slog.Logger }

var _ rlog.Logger = (*officialLog)(nil)

// harmless are the fields that hold no message and no property of one. It is a function because maps cannot be constants.
func harmless(field string) bool {
	switch field {
	case rlog.LogKeyUnderlayError, rlog.LogKeyTopic, rlog.LogKeyBroker, rlog.LogKeyProducerGroup,
		"brokerName", "brokerId", "brokerID", "brokerAddr", "clientID", "clientId", "remoteAddr", "localAddr",
		"responseCode", "remark", "callback":
		return true
	default:
		return false
	}
}

func (l *officialLog) write(level slog.Level, event string, fields map[string]any) {
	if event == "" || !l.log.Enabled(context.Background(), level) {
		return
	}
	attrs := []slog.Attr{slog.String("event", event)}
	for _, k := range slices.Sorted(maps.Keys(fields)) {
		if harmless(k) {
			attrs = append(attrs, slog.String(k, fmt.Sprint(fields[k])))
		}
	}
	l.log.LogAttrs(context.Background(), level, "official client", attrs...)
}

// Debug implements rlog.Logger. Nothing is passed on: heartbeats and lookups, every few seconds.
func (l *officialLog) Debug(string, map[string]any) {}

// Info implements rlog.Logger.
func (l *officialLog) Info(event string, fields map[string]any) {
	l.write(slog.LevelDebug, event, fields)
}

// Warning implements rlog.Logger.
func (l *officialLog) Warning(event string, fields map[string]any) {
	l.write(slog.LevelInfo, event, fields)
}

// Error implements rlog.Logger.
func (l *officialLog) Error(event string, fields map[string]any) {
	l.write(slog.LevelWarn, event, fields)
}

// Fatal implements rlog.Logger. It does not end the process.
func (l *officialLog) Fatal(event string, fields map[string]any) {
	l.write(slog.LevelError, event, fields)
}

// Level implements rlog.Logger. The level is the logger's own.
func (l *officialLog) Level(string) {}

// OutputPath implements rlog.Logger. The output is the logger's own.
func (l *officialLog) OutputPath(string) error { return nil }
