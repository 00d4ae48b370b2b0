package relay

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// NewAttemptID returns a fresh attempt id. The last 4 bytes are the milliseconds since the start of the month, where
// RocketMQ's tools look for the time from which to search the index (MessageClientIDSetter.getNearlyTimeFromID). The tools
// take the start of the month in their own time zone, so the value is 12 hours short: decoded anywhere on earth it never
// lies after the real time, and the search still finds the message.
func NewAttemptID(now time.Time) (AttemptID, error) {
	var id AttemptID
	if _, err := rand.Read(id[:10]); err != nil {
		return id, fmt.Errorf("draw an attempt id: %w", err)
	}
	now = now.UTC()
	month := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
	ms := max(0, now.Sub(month)-12*time.Hour).Milliseconds()
	binary.BigEndian.PutUint32(id[10:], uint32(ms)) // a month has at most 2.7e9 ms
	return id, nil
}

// UniqKey returns the UNIQ_KEY of the attempt's message with this index: 32 upper-case hex digits.
func (id AttemptID) UniqKey(index int) string {
	const digits = "0123456789ABCDEF"
	var raw [16]byte
	copy(raw[:], id[:])
	binary.BigEndian.PutUint16(raw[14:], uint16(index)) //nolint:gosec // an attempt has at most 32,768 messages
	var text [32]byte
	for i, b := range raw {
		text[2*i], text[2*i+1] = digits[b>>4], digits[b&15]
	}
	return string(text[:])
}

// String returns the id in hex, as the UNIQ_KEYs begin.
func (id AttemptID) String() string { return strings.ToUpper(hex.EncodeToString(id[:])) }
