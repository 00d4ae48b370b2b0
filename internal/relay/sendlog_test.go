package relay

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
)

func TestOffsetMessageID(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		address string
		offset  int64
		id      string
	}{
		{"172.17.0.2:10911", 0, "AC11000200002A9F0000000000000000"},
		{"127.0.0.1:65535", 1<<40 + 255, "7F0000010000FFFF00000100000000FF"},
		{"[::1]:10911", 5, "0000000000000000000000000000000100002A9F0000000000000005"},
		{"broker-a:10911", 5, ""}, // the broker puts its address in, which we do not know
		{"nonsense", 5, ""},
		{"127.0.0.1:10911", -1, ""},
	} {
		require.Equal(t, test.id, OffsetMessageID(test.address, test.offset), test.address)
	}
}

func TestLineOfEveryAttempt(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&out, nil))
	it := traced("00")
	it.row.OrderingKey, it.row.Attempts = "customer-7", 2
	it.stored = StoredHalf{UniqKey: "0123", LogOffset: 4096}
	tr := traces{sends: newSendLog(Config{LogSends: true}, log)}
	tr.end(it, "", it.half.Born.Add(7*time.Millisecond))
	it.stored = StoredHalf{}
	tr.end(it, ReasonFlushDiskTimeout, it.half.Born)
	lines := bytes.Split(bytes.TrimSpace(out.Bytes()), []byte("\n"))
	require.Len(t, lines, 2)
	require.NotContains(t, out.String(), "four", "no payload")
	want := map[string]any{
		"level": "INFO", "msg": "sent", "row": 42.0, "topic": "orders", "keys": "dedup business", "ordering_key": "customer-7",
		"msg_id": "0123", "offset_msg_id": "0A00000100002A9F0000000000001000", "broker": "b0", "queue": 3.0, "attempt": 3.0,
		"status": "SEND_OK", "ms": 7.0,
	}
	for _, line := range lines {
		got := map[string]any{}
		require.NoError(t, json.Unmarshal(line, &got))
		delete(got, "time")
		require.Equal(t, want, got)
		delete(want, "offset_msg_id")
		want["level"], want["msg"], want["status"], want["ms"] = "WARN", "not sent", "flush_disk_timeout", 0.0
	}

	out.Reset()
	traces{sends: newSendLog(Config{}, log)}.end(it, "", time.Now())
	require.Empty(t, out.String(), "off unless it is asked for")
}

func TestSpanNamesTheClient(t *testing.T) {
	t.Parallel()
	spans := record(t, func(tr traces) {
		tr.more = []attribute.KeyValue{attribute.String("messaging.client.id", "10.0.0.9@pod-7#1")}
		tr.end(traced("01"), "", time.Now())
	})
	require.Contains(t, spans[0].Attributes(), attribute.String("messaging.client.id", "10.0.0.9@pod-7#1"))
}
