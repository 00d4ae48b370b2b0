package txcheck

import (
	"encoding/binary"
	"strings"
	"time"
)

// NewIDAt returns an id that was made at another time.
func (m *Markers) NewIDAt(at time.Time) string {
	origin, uuid, _ := strings.Cut(m.NewID(), "/")
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(at.UnixMilli()))
	var b [16]byte
	copy(b[:6], ms[2:])
	return origin + "/" + formatUUID(b)[:13] + uuid[13:]
}
