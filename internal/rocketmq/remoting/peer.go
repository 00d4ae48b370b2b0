package remoting

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// A peer is one address: its connections and its circuit breaker.
type peer struct {
	pool    *Pool
	address string

	mu     sync.Mutex
	closed bool
	conns  []*Conn // at most Options.Connections, all in use
	turn   int
	all    map[*Conn]bool // including those that are being retired
	used   time.Time

	// The circuit: see circuit.go.
	cause    error // why it is open, nil if it is not
	failures int
	timer    *time.Timer // the next probe
	probing  bool
}

func newPeer(p *Pool, address string) *peer {
	return &peer{pool: p, address: address, all: make(map[*Conn]bool), used: time.Now()}
}

// submit hands the batch to a connection; an error means that nothing was sent and nothing will be.
func (p *peer) submit(b *Batch) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.used = time.Now()
	if p.closed {
		return ErrClosed
	}
	if p.cause != nil {
		p.scheduleLocked()
		return fmt.Errorf("%w: circuit to %s is open: %w", ErrUnreachable, p.address, p.cause)
	}
	for range p.pool.options.Connections + 1 {
		c := p.connLocked()
		if c.submit(b) {
			return nil
		}
		p.dropLocked(c)
		if err := c.why(); errors.Is(err, ErrUnreachable) {
			return err // the dial failed before the batch came: its reason is not lost
		}
	}
	return fmt.Errorf("%w: %s", ErrUnreachable, p.address)
}

// connLocked returns the connections in turn, having filled up their number.
func (p *peer) connLocked() *Conn {
	p.turn++
	if len(p.conns) < p.pool.options.Connections {
		c := p.openLocked()
		p.conns = append(p.conns, c)
		return c
	}
	return p.conns[p.turn%len(p.conns)]
}

func (p *peer) openLocked() *Conn {
	c := newConn(p.address, &p.pool.options, &p.pool.stats, &p.pool.buffers, connEvents{ended: p.ended, silent: p.silent})
	p.all[c] = true
	p.pool.working.Go(c.run)
	return c
}

func (p *peer) dropLocked(c *Conn) {
	p.conns = slices.DeleteFunc(p.conns, func(o *Conn) bool { return o == c })
}

// ended is called when a connection is over, before what was pending on it fails.
func (p *peer) ended(c *Conn, err error) {
	p.mu.Lock()
	p.dropLocked(c)
	delete(p.all, c)
	opened, closed := false, p.closed
	if errors.Is(err, ErrUnreachable) {
		opened = p.tripLocked(err, p.pool.options.BackoffMin)
	}
	p.mu.Unlock()
	if !closed && !errors.Is(err, ErrUnreachable) {
		p.pool.options.OnLost(p.address)
	}
	if opened {
		p.pool.options.OnCircuit(p.address, err)
	}
}

func (p *peer) available() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.used = time.Now()
	if p.cause != nil {
		p.scheduleLocked()
	}
	return p.cause == nil
}

func (p *peer) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.stopTimerLocked()
	for c := range p.all {
		c.fail(ErrClosed)
	}
}
