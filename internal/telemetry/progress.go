package telemetry

import (
	"sync/atomic"
	"time"
)

// Progress is when the relay's loop last did something. Waiting for a broker or a database that is away counts: the loop
// that keeps trying is alive. All methods may be called concurrently.
type Progress struct {
	now  func() time.Time
	last atomic.Pointer[time.Time]
}

// NewProgress starts with a tick. now tells the time; it is time.Now outside tests.
func NewProgress(now func() time.Time) *Progress {
	p := &Progress{now: now}
	p.Tick()
	return p
}

// Tick says that something was done. It does not block.
func (p *Progress) Tick() {
	t := p.now()
	p.last.Store(&t)
}

// Idle returns the time since the last tick, by the monotonic clock where there is one: a clock that is set must not kill
// the relay.
func (p *Progress) Idle() time.Duration { return p.now().Sub(*p.last.Load()) }
