package relay

import (
	"math"
	"time"
)

// A span is how many ids one read looks at. Where a transaction keeps PostgreSQL from cleaning up, a read steps over everything
// that was sent since, a million rows a second or so. In one statement that would run into its timeout, at every try.
type span struct {
	ids   int64
	least int64
	took  time.Duration // what a read should take at most
}

// from returns the id up to which a read from after looks; bound says that it looks no further whatever is there.
func (s *span) from(after, bound int64) int64 {
	s.ids = max(s.ids, s.least)
	if after > bound-s.ids {
		return bound
	}
	return after + s.ids
}

// read learns from how long a read took that found nothing more in its span: ids that nobody was given cost nothing.
func (s *span) read(took time.Duration) {
	switch {
	case took > s.took:
		s.ids = max(s.ids/2, s.least)
	case took < s.took/4:
		s.ids = min(s.ids, math.MaxInt64/4) * 2
	}
}
