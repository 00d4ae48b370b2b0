package outbox

import (
	"fmt"
	"strings"
)

// A Kind sorts faults into the reasons for which the relay makes a dead letter of a row that has them. The set is closed.
type Kind string

// The kinds.
const (
	KindBadTopic      Kind = "bad_topic"
	KindBodyEmpty     Kind = "body_empty"
	KindBodyTooLarge  Kind = "body_too_large"
	KindBadProperties Kind = "bad_properties" // tag, keys, ordering key, deduplication key, or all properties together
	KindBadHeaders    Kind = "bad_headers"
	KindNotAllowed    Kind = "not_allowed" // two wishes that exclude each other on every type of topic
)

// A Fault is one rule that one message breaks.
type Fault struct {
	Message int    // index in the call, from 0
	Field   string // the column, for example "tag", "keys[1]" or `headers["WAIT"]`
	// Value is the offending value, quoted and cut to 64 bytes. It never holds payload or the value of a header: those are
	// described ("5242880 bytes", "0x01 at byte 5").
	Value string
	Kind  Kind
	Rule  string // what holds, for example "must not contain a space"
	// Limit is the number that the value is over, in bytes or, for deliver_at, seconds; 0 where the rule has none.
	Limit int64
	// Profile is whose limit or rule it is; "" if it holds for all.
	Profile Profile
}

// String returns the fault as one phrase.
func (f Fault) String() string {
	text := fmt.Sprintf("message %d: %s %s %s", f.Message, f.Field, f.Value, f.Rule)
	if f.Profile != "" {
		text += fmt.Sprintf(" (limits of %s)", f.Profile)
	}
	return text
}

// An InvalidError holds every fault of every message of a call. Nothing was written, and the transaction is as it was.
type InvalidError struct {
	Faults []Fault // at least one; in the order of the messages
}

// Error names the first twenty faults and says how many more there are.
func (e *InvalidError) Error() string {
	const most = 20
	var b strings.Builder
	b.WriteString("invalid outbox message: ")
	for i, f := range e.Faults {
		if i == most {
			fmt.Fprintf(&b, "; and %d more", len(e.Faults)-most)
			break
		}
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(f.String())
	}
	return b.String()
}
