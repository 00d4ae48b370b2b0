package remoting

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// unusedAfter is how long probes go on for a peer that nobody asks for any more.
const unusedAfter = 2 * time.Minute

// errSilent opens a circuit: the peer accepts connections and says nothing, as a stopped process does.
var errSilent = errors.New("a request timed out and nothing at all was received meanwhile")

// silent is called when a request timed out on a connection that had said nothing since. A false alarm costs one round trip:
// the first probe goes out at once.
func (p *peer) silent(_ *Conn) {
	p.mu.Lock()
	opened := p.tripLocked(errSilent, 0)
	p.mu.Unlock()
	if opened {
		p.pool.options.OnCircuit(p.address, errSilent)
	}
}

// tripLocked opens the circuit, unless it is open, and plans the first probe.
func (p *peer) tripLocked(cause error, probeAfter time.Duration) bool {
	if p.closed || p.cause != nil {
		return false
	}
	p.cause, p.failures = cause, 0
	for _, c := range p.conns {
		c.retire()
	}
	p.conns = p.conns[:0]
	p.probeLocked(probeAfter)
	return true
}

// scheduleLocked resumes probing when somebody asks for a peer again that had been unused.
func (p *peer) scheduleLocked() {
	if p.timer == nil && !p.probing {
		p.probeLocked(0)
	}
}

func (p *peer) probeLocked(after time.Duration) {
	if p.closed {
		return
	}
	p.pool.working.Add(1)
	p.timer = time.AfterFunc(after, func() {
		defer p.pool.working.Done()
		p.probe()
	})
}

func (p *peer) stopTimerLocked() {
	if p.timer != nil && p.timer.Stop() {
		p.pool.working.Done()
	}
	p.timer = nil
}

// probe asks the peer something on a new connection. Any answer closes the circuit; the connection then is the first of the
// peer's.
func (p *peer) probe() {
	o := &p.pool.options
	var failure error
	b := p.pool.Batch(1, o.DialTimeout+o.ProbeTimeout, func(_ int, r Reply) { failure = r.Err })
	o.Probe(b)
	b.encoded()
	p.mu.Lock()
	p.timer = nil
	if p.closed || len(b.frames) == 0 {
		p.mu.Unlock()
		return
	}
	p.probing = true
	c := p.openLocked()
	submitted := c.submit(b)
	p.mu.Unlock()
	if !submitted {
		failure = fmt.Errorf("%w: %s", ErrUnreachable, p.address)
	} else {
		b.Wait(context.Background())
	}
	p.probed(c, failure)
}

func (p *peer) probed(c *Conn, failure error) {
	o := &p.pool.options
	p.mu.Lock()
	p.probing = false
	if failure == nil && !p.closed {
		p.cause, p.failures = nil, 0
		p.conns = append(p.conns, c)
		p.mu.Unlock()
		o.OnCircuit(p.address, nil)
		return
	}
	defer p.mu.Unlock()
	c.fail(errRetired)
	if p.closed {
		return
	}
	p.failures++
	if !errors.Is(failure, ErrTimeout) {
		p.cause = failure // what is wrong now need not be what was wrong at first
	}
	if time.Since(p.used) < unusedAfter {
		p.probeLocked(backoff(o.BackoffMin, o.BackoffMax, p.failures))
	}
}

// backoff doubles from the minimum to the maximum, less up to a fifth so that many relays do not probe at once.
func backoff(least, most time.Duration, failures int) time.Duration {
	d := least << min(failures, 20)
	if d > most || d <= 0 {
		d = most
	}
	return d - time.Duration(rand.Int64N(int64(d)/5+1))
}
