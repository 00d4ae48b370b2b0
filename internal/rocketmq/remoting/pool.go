package remoting

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// A Pool sends batches to any number of addresses. Its methods may be called concurrently; they never block.
type Pool struct {
	options Options
	stats   stats
	buffers sync.Pool // *[]byte
	working sync.WaitGroup

	mu     sync.Mutex
	peers  map[string]*peer
	closed bool
}

type stats struct {
	late    atomic.Int64
	ignored atomic.Int64
}

// Stats counts what came from peers and was dropped.
type Stats struct {
	Late    int64 // answers to requests that were given up before
	Ignored int64 // requests of the peer
}

// NewPool returns a pool without connections; they are made on use.
func NewPool(o Options) (*Pool, error) {
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	return &Pool{options: o, peers: make(map[string]*peer)}, nil
}

// Batch returns an empty batch for about n requests. Each that is not answered within the timeout, counted from Submit, fails.
// Done is called exactly once for each request, from any goroutine, perhaps before Submit returns; it must not block.
func (p *Pool) Batch(n int, timeout time.Duration, done func(i int, r Reply)) *Batch {
	b := &Batch{timeout: timeout, done: done, frames: make([]frameMark, 0, n), finished: make(chan struct{})}
	b.enc.JSON, b.enc.signer = p.options.JSON, p.options.Keys.signer()
	if buf, ok := p.buffers.Get().(*[]byte); ok {
		b.enc.buf = *buf
	}
	return b
}

// Oneway returns an empty batch of requests that are not answered. Nobody is told what becomes of them.
func (p *Pool) Oneway(n int) *Batch {
	b := p.Batch(n, 0, nil)
	b.oneway = true
	return b
}

// Submit sends the batch, now or as soon as a connection is up.
func (p *Pool) Submit(address string, b *Batch) {
	b.encoded()
	if len(b.frames) == 0 {
		b.failAll(nil)
		return
	}
	peer := p.peer(address)
	if peer == nil {
		b.failAll(ErrClosed)
		return
	}
	if err := peer.submit(b); err != nil {
		b.failAll(err)
	}
}

// Call sends one request and returns the answer, which the caller owns. Fill adds it to a batch.
func (p *Pool) Call(ctx context.Context, address string, timeout time.Duration, fill func(b *Batch) error) (*Command, error) {
	var cmd *Command
	var failure error
	b := p.Batch(1, timeout, func(_ int, r Reply) {
		if failure = r.Err; r.Err == nil {
			cmd = r.Response.Clone()
		}
	})
	if err := fill(b); err != nil {
		return nil, err
	}
	p.Submit(address, b)
	b.Wait(ctx)
	return cmd, failure
}

// Available reports whether requests to the address are sent at present: its circuit is not open.
func (p *Pool) Available(address string) bool {
	peer := p.peer(address)
	return peer != nil && peer.available()
}

// Stats returns the counters.
func (p *Pool) Stats() Stats {
	return Stats{Late: p.stats.late.Load(), Ignored: p.stats.ignored.Load()}
}

// Close fails everything in flight and waits until all goroutines have ended.
func (p *Pool) Close() {
	p.mu.Lock()
	p.closed = true
	peers := p.peers
	p.peers = nil
	p.mu.Unlock()
	for _, peer := range peers {
		peer.close()
	}
	p.working.Wait()
}

func (p *Pool) peer(address string) *peer {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	at, ok := p.peers[address]
	if !ok {
		at = newPeer(p, address)
		p.peers[address] = at
	}
	return at
}
