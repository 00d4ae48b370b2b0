package txcheck

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// A markerID is which transaction a half message belongs to. On the wire it is "<origin>/<uuid>".
type markerID struct {
	origin string // uuid of the database
	uuid   string // version 7: 48 bits of milliseconds, 74 random ones
	at     time.Time
}

// NewID returns an id for one half message and the transaction behind it. A message that is sent again needs a new one: the
// broker may have both halves, and would publish both.
func (m *Markers) NewID() string {
	var b [16]byte
	_, _ = rand.Read(b[6:]) // It never fails.
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(max(time.Now().UnixMilli(), 0)))
	copy(b[:6], ms[2:])
	b[6] = b[6]&0x0f | 0x70 // version 7
	b[8] = b[8]&0x3f | 0x80 // RFC 9562's variant
	return m.origin + "/" + formatUUID(b)
}

func formatUUID(b [16]byte) string {
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// parseMarkerID reads what NewID wrote, and nothing else.
func parseMarkerID(s string) (markerID, error) {
	origin, uuid, found := strings.Cut(s, "/")
	digits := strings.ReplaceAll(uuid, "-", "")
	b, err := hex.DecodeString(digits)
	if !found || err != nil || len(b) != 16 || formatUUID([16]byte(b)) != uuid || b[6]>>4 != 7 || b[8]>>6 != 2 {
		return markerID{}, fmt.Errorf("id %q: %w", clip(s), ErrForeign)
	}
	ms := binary.BigEndian.Uint64(append([]byte{0, 0}, b[:6]...))
	return markerID{origin: origin, uuid: uuid, at: time.UnixMilli(int64(ms))}, nil
}

// oldest is an id that every id since a time is above, or equal to.
func oldest(since time.Time) string {
	var b [16]byte
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(max(since.UnixMilli(), 0)))
	copy(b[:6], ms[2:])
	return formatUUID(b)
}

// clip keeps what others wrote short enough for a log.
func clip(s string) string { return s[:min(len(s), 80)] }
