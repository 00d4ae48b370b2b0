package relay

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

const (
	parentTrace = "4bf92f3577b34da6a3ce929d0e0e4736"
	parentSpan  = "00f067aa0ba902b7"
)

// traced is an item whose row was inserted in a trace.
func traced(flags string) *item {
	return &item{
		row: Row{ID: 42, Topic: "orders"}, queue: Queue{Broker: "b0", ID: 3}, batch: &batch{address: "10.0.0.1:10911"},
		half: Half{
			Immunity: time.Second,
			UniqKey:  "0123", Tag: "paid", Keys: "dedup business", Born: time.UnixMilli(1_700_000_000_000), Body: []byte("four"),
			Properties: []Property{
				{"outbox-id", "42"}, {"traceparent", "00-" + parentTrace + "-" + parentSpan + "-" + flags}, {"tracestate", "vendor=value"},
			},
		},
	}
}

func record(t *testing.T, use func(traces)) []sdktrace.ReadOnlySpan {
	t.Helper()
	recorder := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))
	use(traces{tracer: provider.Tracer("test")})
	require.NoError(t, provider.Shutdown(t.Context()))
	return recorder.Ended()
}

func TestSpanOfAPublishedRow(t *testing.T) {
	t.Parallel()
	it := traced("01")
	now := it.half.Born.Add(5 * time.Millisecond)
	spans := record(t, func(tr traces) { tr.end(it, "", now) })
	require.Len(t, spans, 1)
	span := spans[0]
	require.Equal(t, "send orders", span.Name())
	require.Equal(t, trace.SpanKindProducer, span.SpanKind())
	require.Equal(t, parentTrace, span.SpanContext().TraceID().String())
	require.Equal(t, parentSpan, span.Parent().SpanID().String())
	require.True(t, span.Parent().IsRemote())
	require.Equal(t, "vendor=value", span.SpanContext().TraceState().String())
	require.Equal(t, it.half.Born, span.StartTime())
	require.Equal(t, now, span.EndTime())
	require.Equal(t, codes.Unset, span.Status().Code)
	for _, want := range []attribute.KeyValue{
		attribute.String("messaging.system", "rocketmq"), attribute.String("messaging.operation.name", "send"),
		attribute.String("messaging.destination.name", "orders"), attribute.String("messaging.destination.partition.id", "3"),
		attribute.String("messaging.message.id", "0123"), attribute.Int("messaging.message.body.size", 4),
		attribute.StringSlice("messaging.rocketmq.message.keys", []string{"dedup", "business"}),
		attribute.String("messaging.rocketmq.message.tag", "paid"), attribute.String("messaging.rocketmq.message.type", "transaction"),
		attribute.String("server.address", "10.0.0.1"), attribute.Int("server.port", 10911), attribute.Int64("outbox-id", 42),
	} {
		require.Contains(t, span.Attributes(), want)
	}
}

func TestSpanOfAFailure(t *testing.T) {
	t.Parallel()
	it := traced("01")
	spans := record(t, func(tr traces) { tr.end(it, ReasonFlushDiskTimeout, it.half.Born) })
	require.Len(t, spans, 1)
	require.Equal(t, codes.Error, spans[0].Status().Code)
	require.Contains(t, spans[0].Attributes(), attribute.String("error.type", "flush_disk_timeout"))
}

func TestRowsOfNoTraceGetNoSpan(t *testing.T) {
	t.Parallel()
	none, broken := traced("01"), traced("01")
	none.half.Properties = none.half.Properties[:1]
	broken.half.Properties[1].Value = "00-nonsense"
	require.Empty(t, record(t, func(tr traces) {
		tr.end(none, "", time.Now())
		tr.end(broken, "", time.Now())
		tr.end(traced("00"), "", time.Now()) // whoever began the trace decided not to record it
	}))
	traces{}.end(traced("01"), "", time.Now())
}
