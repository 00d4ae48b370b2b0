package outbox

import (
	"context"
	"strings"
	"time"

	"go.opentelemetry.io/otel/propagation"
)

// row is a message as the table has it; "" and nil stand for NULL.
type row struct {
	topic       string
	tag         string
	keys        string
	orderingKey string
	dedupKey    string
	headers     string // JSON
	payload     []byte
	availableAt *time.Time
	deliverAt   *time.Time
}

// rows validates messages, with the trace context that they will carry, and turns them into rows.
func (r Rules) rows(ctx context.Context, messages []Message) ([]row, error) {
	trace := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, trace)
	traced := make([]Message, len(messages))
	for i, m := range messages {
		m.Headers = withTrace(trace, m.Headers)
		traced[i] = m
	}
	if err := r.Validate(traced...); err != nil {
		return nil, err
	}
	out := make([]row, len(traced))
	for i, m := range traced {
		headers, err := encodeHeaders(m.Headers)
		if err != nil {
			return nil, err
		}
		out[i] = row{
			topic:       m.Topic,
			tag:         m.Tag,
			keys:        strings.Join(m.Keys, " "),
			orderingKey: m.OrderingKey,
			dedupKey:    m.DedupKey,
			headers:     headers,
			payload:     m.Payload,
			availableAt: timeOrNil(m.AvailableAt),
			deliverAt:   timeOrNil(m.DeliverAt),
		}
	}
	return out, nil
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func timestamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
