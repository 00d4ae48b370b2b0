package txcheck

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// maxForeign bounds what a Checker remembers of other origins. A group is shared with one or two by mistake; with more than
// this something makes origins up, and one warning more or less no longer matters.
const maxForeign = 1000

// Options are what a Checker needs to know.
type Options struct {
	// Origin is the uuid of our outbox, compared without regard to case. Required.
	Origin string
	// Window is how long after its born time a half can be committed, for halves that do not say so themselves; whole seconds,
	// above 0. Required. The relay's default is 10 s.
	Window time.Duration
	// Clock tells the time; nil means time.Now.
	Clock func() time.Time
	// OnForeign is called once for each origin that is not ours, with the first of its halves: another program shares the
	// producer group, or two outboxes do, and both are asked about each other's messages. It must not block. nil means nothing
	// is called.
	OnForeign func(Half)
}

// A Checker decides about the half messages of one outbox. It is safe for concurrent use, needs no database, never waits for
// anything but its own OnForeign, and never panics.
type Checker struct {
	origin    string
	window    time.Duration
	clock     func() time.Time
	onForeign func(Half)

	mu      sync.Mutex
	foreign map[string]struct{} // origins that were warned about
}

// New returns a Checker, or an error that names every option that is wrong.
func New(o Options) (*Checker, error) {
	var errs []error
	if o.Origin == "" {
		errs = append(errs, errors.New("origin: must be set"))
	}
	if o.Window <= 0 {
		errs = append(errs, fmt.Errorf("window: must be above 0, is %s", o.Window))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("transaction checker: %w", err)
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.OnForeign == nil {
		o.OnForeign = func(Half) {}
	}
	return &Checker{
		origin:    o.Origin,
		window:    o.Window,
		clock:     o.Clock,
		onForeign: o.OnForeign,
		foreign:   make(map[string]struct{}),
	}, nil
}

// Check answers Rollback for a half of ours that can no longer be committed and Unknown for every other.
func (c *Checker) Check(h Half) (answer Answer) {
	// A panic would end the process or, worse, silently end the official client's check loop, depending on its version.
	defer func() {
		if recover() != nil {
			answer = Unknown
		}
	}()
	if !strings.EqualFold(h.Origin, c.origin) {
		if c.firstOf(h.Origin) {
			c.onForeign(h)
		}
		return Unknown
	}
	window := h.Window
	if window <= 0 {
		window = c.window
	}
	if c.clock().Sub(h.Born) <= window {
		return Unknown
	}
	return Rollback
}

// firstOf reports whether the origin has not been warned about yet, and remembers it.
func (c *Checker) firstOf(origin string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, known := c.foreign[origin]; known || len(c.foreign) >= maxForeign {
		return false
	}
	c.foreign[origin] = struct{}{}
	return true
}
