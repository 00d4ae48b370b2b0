package remoting

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"
)

// A Conn is one TCP connection with any number of requests in flight. It dials when it is made, in the background, and is
// over when it breaks. Its writer goroutine owns the connection's life: it dials, writes, and at the end completes whatever
// is still pending, because it alone knows how much the kernel took.
type Conn struct {
	address string
	options *Options
	stats   *stats
	buffers *sync.Pool
	events  connEvents

	ctx       context.Context // ends with the connection; also aborts the dial
	cancelCtx context.CancelFunc
	wake      chan struct{} // something is queued

	mu       sync.Mutex
	nc       net.Conn
	err      error // why the connection is over
	retired  bool
	queue    []*Batch         // not yet taken by the writer
	open     map[*Batch]bool  // with unclaimed requests
	pending  map[int32]*Batch // unclaimed requests by opaque
	next     int32            // opaque of the next request
	written  int64            // stream position up to which the kernel has taken bytes
	lastUse  time.Time        // zero before the first
	lastRead time.Time
	timer    *time.Timer
	timerAt  time.Time
	bufs     net.Buffers
}

// connEvents is what a connection tells its peer. They are called without the connection's lock.
type connEvents struct {
	ended  func(c *Conn, err error)
	silent func(c *Conn) // a request timed out and nothing at all had come since it was written
}

func newConn(address string, o *Options, s *stats, buffers *sync.Pool, ev connEvents) *Conn {
	c := &Conn{
		address: address, options: o, stats: s, buffers: buffers, events: ev,
		wake: make(chan struct{}, 1),
		open: make(map[*Batch]bool), pending: make(map[int32]*Batch),
	}
	c.ctx, c.cancelCtx = context.WithCancel(context.Background())
	return c
}

// submit queues the batch; false if the connection cannot be used any more.
func (c *Conn) submit(b *Batch) bool {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.lastUse.IsZero() && len(c.open) == 0 && now.Sub(c.lastUse) > c.options.IdleTimeout {
		c.failLocked(errIdle)
	}
	if c.err != nil || c.retired {
		return false
	}
	c.lastUse = now
	b.conn, b.state, b.deadline = c, batchQueued, now.Add(b.timeout)
	if c.next > 1<<31-1-int32(len(b.frames)) {
		c.next = 0
	}
	b.first = c.next
	c.next += int32(len(b.frames))
	for i, f := range b.frames {
		patchOpaque(b.enc.JSON, b.enc.buf, f.opaque, b.first+int32(i))
	}
	if !b.oneway {
		b.open = len(b.frames)
		b.remaining.Store(int64(len(b.frames)))
		for i := range b.frames {
			c.pending[b.first+int32(i)] = b
		}
		c.open[b] = true
		c.watchLocked(b.deadline)
	}
	c.queue = append(c.queue, b)
	select {
	case c.wake <- struct{}{}:
	default:
	}
	return true
}

// claimLocked takes request i of b out of the pending ones; false if somebody else has.
func (c *Conn) claimLocked(b *Batch, i int) bool {
	opaque := b.first + int32(i)
	if c.pending[opaque] != b {
		return false
	}
	delete(c.pending, opaque)
	b.open--
	if b.open == 0 {
		delete(c.open, b)
		if c.retired && len(c.open) == 0 {
			c.failLocked(errRetired)
		}
	}
	return true
}

// fail ends the connection.
func (c *Conn) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failLocked(err)
}

func (c *Conn) failLocked(err error) {
	if c.err != nil {
		return
	}
	c.err = err
	c.cancelCtx()
	if c.nc != nil {
		_ = c.nc.Close() // the reader and the writer come back with an error
	}
}

// why is the reason why the connection is over; nil while it is not.
func (c *Conn) why() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// retire ends the connection as soon as nothing is in flight on it.
func (c *Conn) retire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.retired = true
	if len(c.open) == 0 {
		c.failLocked(errRetired)
	}
}

// run is the connection's life. When it returns, every request has been completed.
func (c *Conn) run() {
	nc, err := c.dial()
	if err == nil {
		var reader sync.WaitGroup
		reader.Go(func() { c.read(nc) })
		c.write(nc)
		_ = nc.Close()
		reader.Wait()
	}
	c.mu.Lock()
	err = c.err
	if c.timer != nil {
		c.timer.Stop()
	}
	c.mu.Unlock()
	c.events.ended(c, err)
	c.completeAll(err)
}

func (c *Conn) dial() (net.Conn, error) {
	ctx, cancel := context.WithTimeout(c.ctx, c.options.DialTimeout)
	defer cancel()
	nc, err := c.options.Dial(ctx, c.address)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		err = fmt.Errorf("%w: dial %s: %w", ErrUnreachable, c.address, err)
		c.failLocked(err)
		return nil, err
	}
	if c.err != nil {
		_ = nc.Close()
		return nil, c.err
	}
	c.nc = nc
	return nc, nil
}

// completeAll fails everything that is still pending. The writer has stopped: what the kernel took is known.
func (c *Conn) completeAll(err error) {
	type failed struct {
		b    *Batch
		i    int
		sent bool
		took time.Duration
	}
	var all []failed
	now := time.Now()
	c.mu.Lock()
	for b := range c.open {
		for i := range b.frames {
			if sent := b.sent(i, c.written); c.claimLocked(b, i) {
				all = append(all, failed{b, i, sent, b.took(now)})
			}
		}
	}
	queue := c.queue
	c.queue = nil
	c.mu.Unlock()
	for _, b := range queue {
		if b.oneway {
			close(b.finished)
		}
	}
	for _, f := range all {
		f.b.reply(f.i, Reply{Err: err, Sent: f.sent, Took: f.took})
	}
}
