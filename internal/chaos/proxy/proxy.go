package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Options say where a proxy stands.
type Options struct {
	// Listen is host:port; port 0 takes a free one.
	Listen string
	// Upstream is the server's host:port.
	Upstream string
	// Seed makes the chances repeatable, as far as the order of requests is.
	Seed uint64
}

// dialect is a protocol.
type dialect struct {
	kinds []Kind
	// numbered means that answers are matched with requests by number, so that one can be missing.
	numbered bool
	// talk begins to follow a new connection.
	talk func() talk
}

// Proxy passes on what comes to its address, and lets it fail. Its methods may be
// called at any time and from any goroutine.
type Proxy struct {
	proto dialect
	judge *judge
	addr  string
	links sync.WaitGroup // goroutines

	mu       sync.Mutex
	upstream string
	listener net.Listener // nil while connections are refused
	silent   bool         // new connections are half-open
	closed   bool
	open     map[*link]struct{}
}

func newProxy(opts Options, proto dialect) (*Proxy, error) {
	p := &Proxy{
		proto: proto, judge: newJudge(opts.Seed), addr: opts.Listen, upstream: opts.Upstream, open: make(map[*link]struct{}),
	}
	if err := p.listen(); err != nil {
		return nil, err
	}
	p.addr = p.listener.Addr().String()
	return p, nil
}

// Addr is host:port, the same for the proxy's whole life.
func (p *Proxy) Addr() string { return p.addr }

// Add puts a rule in force.
func (p *Proxy) Add(r Rule) (remove func(), err error) {
	if err := r.check(p.proto); err != nil {
		return nil, err
	}
	return p.judge.add(r), nil
}

// Counts returns how often what has happened so far. A fault is counted when it has
// happened: a lost answer when the server has given it completely. What passes is
// counted right before, so that nobody has an answer that is not counted.
func (p *Proxy) Counts() map[Count]int { return p.judge.snapshot() }

// SetUpstream sends connections that are opened from now on to another server.
func (p *Proxy) SetUpstream(addr string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.upstream = addr
}

// CutAll resets every connection, on both sides, and returns how many there were.
// What was on its way is lost. New ones are welcome.
func (p *Proxy) CutAll() int {
	links := p.current()
	for _, l := range links {
		l.reset()
	}
	return len(links)
}

// HalfOpenAll leaves every connection open and carries nothing on it any more, not
// even its end; new connections are accepted and never answered. It returns how
// many there were. After [Proxy.Heal] new connections work; those of before stay
// silent, and it is for their clients to notice.
func (p *Proxy) HalfOpenAll() int {
	p.mu.Lock()
	p.silent = true
	p.mu.Unlock()
	links := p.current()
	for _, l := range links {
		l.dead.Store(true)
	}
	return len(links)
}

// Refuse has new connections refused, as if nobody listened; open ones go on.
func (p *Proxy) Refuse() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener == nil {
		return nil
	}
	err := p.listener.Close()
	p.listener = nil
	return err
}

// Heal ends every fault: no rule is in force, and new connections are accepted and
// carried. What was lost stays lost.
func (p *Proxy) Heal() error {
	p.judge.clear()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.silent = false
	if p.listener != nil || p.closed {
		return nil
	}
	return p.listen()
}

// Close cuts every connection, refuses new ones and returns when nothing of the
// proxy is left.
func (p *Proxy) Close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	err := p.Refuse()
	p.CutAll()
	p.links.Wait()
	return err
}

// listen is called with the lock held, or before there is anybody else.
func (p *Proxy) listen() error {
	listener, err := net.Listen("tcp", p.addr) //nolint:noctx // It does not wait.
	if err != nil {
		return fmt.Errorf("listen for the proxy of %s: %w", p.upstream, err)
	}
	p.listener = listener
	p.links.Go(func() { p.accept(listener) })
	return nil
}

func (p *Proxy) accept(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			<-time.After(10 * time.Millisecond) // Out of descriptors, perhaps.
			continue
		}
		p.links.Go(func() { p.serve(conn.(*net.TCPConn)) })
	}
}

func (p *Proxy) serve(client *net.TCPConn) {
	l := &link{proxy: p, client: client, done: make(chan struct{})}
	upstream, ok := p.register(l)
	if !ok {
		l.reset()
		return
	}
	defer p.forget(l)
	if l.dead.Load() {
		l.sink(client)
		l.reset()
		return
	}
	dialer := net.Dialer{Timeout: 5 * time.Second}
	server, err := dialer.DialContext(context.Background(), "tcp", upstream)
	if err != nil {
		l.reset() // The nearest that is left to a refusal.
		return
	}
	l.run(server.(*net.TCPConn))
}

// register makes the link known to CutAll and HalfOpenAll.
func (p *Proxy) register(l *link) (upstream string, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return "", false
	}
	p.open[l] = struct{}{}
	l.dead.Store(p.silent)
	return p.upstream, true
}

func (p *Proxy) forget(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, l)
}

func (p *Proxy) current() []*link {
	p.mu.Lock()
	defer p.mu.Unlock()
	links := make([]*link, 0, len(p.open))
	for l := range p.open {
		links = append(links, l)
	}
	return links
}
