package relay

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/outbox-relay/outbox-relay/outbox"
)

// Names of the user properties that every message carries. Fixed: consumers and the checker read them.
const (
	PropertyOrigin   = "outbox-origin"    // which outbox the row was in
	PropertyID       = "outbox-id"        // the row's id
	PropertyDedupKey = "outbox-dedup-key" // the same in every attempt of the row
)

// mostHeaders is how long the JSON text of headers may be. Properties of 32,000 bytes fit whatever way they are written.
const mostHeaders = 256 << 10

// message turns a row into a message, without its place and time. A row that breaks a rule of RocketMQ comes back as a
// failure instead: it would never go through.
func (r *Relay) message(row *Row) (Half, *Failure) {
	if len(row.Headers) > mostHeaders {
		return Half{}, &Failure{Row: row.ID, Reason: ReasonBadHeaders, Error: fmt.Sprintf("headers are too long: over %d bytes of JSON", mostHeaders)}
	}
	if failure := r.tooLarge(row); failure != nil {
		return Half{}, failure
	}
	headers, err := outbox.ParseHeaders(row.Headers)
	if err != nil {
		return Half{}, &Failure{Row: row.ID, Reason: ReasonBadHeaders, Error: err.Error()}
	}
	dedup := row.DedupKey
	if dedup == "" {
		dedup = r.origin + "-" + strconv.FormatInt(row.ID, 10)
	}
	var keys []string
	if row.Keys != "" {
		keys = strings.FieldsFunc(row.Keys, func(r rune) bool { return r == ' ' }) // other white space is a fault
	}
	err = r.rules(row.Topic).Validate(outbox.Message{
		Topic: row.Topic, Tag: row.Tag, Keys: keys, OrderingKey: row.OrderingKey, DedupKey: dedup, Headers: headers, Payload: row.Payload,
	})
	if failure := r.invalid(row, err); failure != nil {
		return Half{}, failure
	}
	if rule := r.topics[row.Topic].refuse(row); rule != "" {
		return Half{}, &Failure{Row: row.ID, Reason: ReasonNotAllowed, Error: rule}
	}
	return Half{
		Topic: row.Topic, Tag: row.Tag, Keys: joined(dedup, keys), Ordering: row.OrderingKey,
		Properties: r.properties(row, dedup, headers), Body: row.Payload,
	}, nil
}

// joined is the text of KEYS.
func joined(dedup string, keys []string) string {
	if len(keys) == 0 {
		return dedup
	}
	return dedup + " " + strings.Join(keys, " ")
}

func (r *Relay) properties(row *Row, dedup string, headers map[string]string) []Property {
	properties := make([]Property, 0, len(headers)+3)
	properties = append(properties,
		Property{PropertyOrigin, r.origin},
		Property{PropertyID, strconv.FormatInt(row.ID, 10)},
		Property{PropertyDedupKey, dedup})
	for name, value := range headers {
		properties = append(properties, Property{name, value})
	}
	slices.SortFunc(properties[3:], func(a, b Property) int { return strings.Compare(a.Name, b.Name) })
	return properties
}

// invalid turns the faults of a message into the failure of its row.
func (r *Relay) invalid(row *Row, err error) *Failure {
	if err == nil {
		return nil
	}
	f := &Failure{Row: row.ID, Reason: ReasonBadProperties, Error: err.Error()}
	var invalid *outbox.InvalidError
	if !errors.As(err, &invalid) {
		return f
	}
	switch invalid.Faults[0].Kind {
	case outbox.KindBodyEmpty:
		f.Reason = ReasonBodyEmpty
	case outbox.KindBodyTooLarge:
		f.Reason = ReasonBodyTooLarge
	case outbox.KindBadHeaders:
		f.Reason = ReasonBadHeaders
	case outbox.KindNotAllowed:
		f.Reason = ReasonNotAllowed
	case outbox.KindBadTopic, outbox.KindBadProperties:
	}
	return f
}

// barrierHalf is a half that is never committed. The checker knows it for ours by its origin and rolls it back, should the
// rollback of the barrier itself be lost.
func (r *Relay) barrierHalf(q TopicQueue, born time.Time) (Half, error) {
	now := born.Truncate(time.Millisecond)
	id, err := NewAttemptID(now)
	if err != nil {
		return Half{}, err
	}
	return Half{
		Topic: q.Topic, Queue: q.Queue, UniqKey: id.UniqKey(0), Born: now, Immunity: r.cfg.Window, Keys: "outbox-barrier",
		Properties: []Property{{PropertyOrigin, r.origin}}, Body: []byte("barrier"),
	}, nil
}
