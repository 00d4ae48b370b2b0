package outbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"

	"go.opentelemetry.io/otel/propagation"
)

// withTrace returns headers with the W3C trace context of ctx, in a copy, unless headers carry one already. The format is
// fixed rather than the application's global propagator: the relay and consumers must be able to read it.
func withTrace(carrier propagation.MapCarrier, headers map[string]string) map[string]string {
	if len(carrier) == 0 || headers["traceparent"] != "" || headers["tracestate"] != "" {
		return headers
	}
	all := make(map[string]string, len(headers)+len(carrier))
	maps.Copy(all, headers)
	maps.Copy(all, carrier)
	return all
}

// encodeHeaders returns the text of column headers, "" for none.
func encodeHeaders(headers map[string]string) (string, error) {
	if len(headers) == 0 {
		return "", nil
	}
	text, err := json.Marshal(headers)
	if err != nil {
		return "", fmt.Errorf("encode headers: %w", err)
	}
	return string(text), nil
}

// ParseHeaders reads the text of column headers, as any application may have written it, into the properties that the
// message gets: strings as they are, numbers as they are written, true and false; null means that there is no such header.
// Empty text means no headers. The error says what is wrong and repeats no value.
func ParseHeaders(text []byte) (map[string]string, error) {
	if len(text) == 0 {
		return nil, nil
	}
	if headers, ok := plainHeaders(string(text)); ok {
		return headers, nil
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var raw map[string]any
	if err := decoder.Decode(&raw); err != nil {
		return nil, errors.New("headers must be a JSON object")
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("headers must be one JSON object")
	}
	headers := make(map[string]string, len(raw))
	for name, value := range raw {
		switch v := value.(type) {
		case nil:
		case string:
			headers[name] = v
		case json.Number:
			headers[name] = v.String()
		case bool:
			headers[name] = fmt.Sprint(v)
		default:
			return nil, fmt.Errorf("headers[%s] must be a string, a number, true, false or null", quote(name))
		}
	}
	return headers, nil
}
