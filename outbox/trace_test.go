package outbox_test

import (
	"context"
	"maps"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"

	"github.com/outbox-relay/outbox-relay/outbox"
)

const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func traced(t *testing.T) context.Context {
	t.Helper()
	state, err := trace.ParseTraceState("vendor=value")
	require.NoError(t, err)
	return trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID:    trace.TraceID{0x0a, 0xf7, 0x65, 0x19, 0x16, 0xcd, 0x43, 0xdd, 0x84, 0x48, 0xeb, 0x21, 0x1c, 0x80, 0x31, 0x9c},
		SpanID:     trace.SpanID{0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31},
		TraceFlags: trace.FlagsSampled,
		TraceState: state,
	}))
}

func TestWriteCarriesTheTraceContext(t *testing.T) {
	t.Parallel()
	own := "00-11111111111111111111111111111111-2222222222222222-00"
	for _, tt := range []struct {
		name    string
		ctx     context.Context
		headers map[string]string
		want    map[string]string
	}{
		{"no trace", t.Context(), nil, nil},
		{"no trace but headers", t.Context(), map[string]string{"a": "b"}, map[string]string{"a": "b"}},
		{"a trace", traced(t), nil, map[string]string{"traceparent": parent, "tracestate": "vendor=value"}},
		{
			"a trace and headers", traced(t),
			map[string]string{"a": "b"},
			map[string]string{"a": "b", "traceparent": parent, "tracestate": "vendor=value"},
		},
		{"the caller's own", traced(t), map[string]string{"traceparent": own}, map[string]string{"traceparent": own}},
		{"half of the caller's own", traced(t), map[string]string{"tracestate": "x=y"}, map[string]string{"tracestate": "x=y"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			config, schema := newSchema(t, "trace_")
			before := maps.Clone(tt.headers)
			message := outbox.Message{Topic: "t", Headers: tt.headers, Payload: []byte("x")}
			require.NoError(t, writePgx(tt.ctx, config, outbox.Writer{}, message))
			require.NoError(t, writeSQL(tt.ctx, config, outbox.Writer{}, message))
			require.Equal(t, before, tt.headers, "the caller's map is the caller's")

			rows := readAll(t, config, schema)
			require.Len(t, rows, 2)
			for _, row := range rows {
				if tt.want == nil {
					require.Nil(t, row.Headers)
					continue
				}
				got, err := outbox.ParseHeaders([]byte(*row.Headers))
				require.NoError(t, err)
				require.Equal(t, tt.want, got)
			}
		})
	}
}
