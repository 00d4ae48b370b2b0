package relay

import (
	"context"
	"net"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// traces makes the relay's part of a message's way visible: one span for each attempt to publish a row, in the trace of the
// transaction that inserted it. A row without a trace context belongs to no trace and gets no span. The message carries the
// row's own context, so that a consumer's span hangs from the application's, relay or no relay.
type traces struct {
	tracer trace.Tracer
	sends  sendLog
	more   []attribute.KeyValue // such as the client id
}

// end makes the span of one row: from the born time of its half until now. reason "" means that the message is on its topic.
func (t traces) end(it *item, reason Reason, now time.Time) {
	t.sends.end(it, reason, now)
	if t.tracer == nil {
		return
	}
	ctx, ok := traceContext(it.half.Properties)
	if !ok {
		return
	}
	_, span := t.tracer.Start(ctx, "send "+it.row.Topic, trace.WithSpanKind(trace.SpanKindProducer), trace.WithTimestamp(it.half.Born))
	if !span.IsRecording() {
		return
	}
	span.SetAttributes(spanAttributes(it)...)
	span.SetAttributes(t.more...)
	if reason != "" {
		span.SetAttributes(attribute.String("error.type", string(reason)))
		span.SetStatus(codes.Error, string(reason))
	}
	span.End(trace.WithTimestamp(now))
}

// traceContext reads W3C trace context from the user properties of a message.
func traceContext(properties []Property) (context.Context, bool) {
	carrier := propagation.MapCarrier{}
	for _, p := range properties {
		if p.Name == "traceparent" || p.Name == "tracestate" {
			carrier[p.Name] = p.Value
		}
	}
	if carrier["traceparent"] == "" {
		return nil, false
	}
	ctx := propagation.TraceContext{}.Extract(context.Background(), carrier)
	return ctx, trace.SpanContextFromContext(ctx).IsValid()
}

// messageType is the type of a message in OpenTelemetry's words, which are also those of topics.
func messageType(h *Half) string {
	switch {
	case h.Immunity > 0:
		return TypeTransaction
	case h.DelayLevel > 0 || !h.DeliverAt.IsZero():
		return TypeDelay
	case h.Ordering != "":
		return TypeFIFO
	default:
		return TypeNormal
	}
}

// spanAttributes are those of OpenTelemetry's semantic conventions for messaging and RocketMQ (v1.44, in development).
func spanAttributes(it *item) []attribute.KeyValue {
	attributes := []attribute.KeyValue{
		systemLabel(),
		attribute.String("messaging.operation.name", "send"),
		attribute.String("messaging.operation.type", "send"),
		attribute.String("messaging.destination.name", it.row.Topic),
		attribute.String("messaging.destination.partition.id", strconv.Itoa(it.queue.ID)),
		attribute.String("messaging.message.id", it.half.UniqKey),
		attribute.Int("messaging.message.body.size", len(it.half.Body)),
		attribute.String("messaging.rocketmq.message.type", messageType(&it.half)),
		attribute.StringSlice("messaging.rocketmq.message.keys", strings.Fields(it.half.Keys)),
		attribute.Int64(PropertyID, it.row.ID),
	}
	if it.half.Tag != "" {
		attributes = append(attributes, attribute.String("messaging.rocketmq.message.tag", it.half.Tag))
	}
	if host, port, err := net.SplitHostPort(it.batch.address); err == nil {
		attributes = append(attributes, attribute.String("server.address", host))
		if n, err := strconv.Atoi(port); err == nil {
			attributes = append(attributes, attribute.Int("server.port", n))
		}
	}
	return attributes
}
