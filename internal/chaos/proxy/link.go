package proxy

import (
	"bufio"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// talk follows one connection and cuts it into pieces. Each method is called by one
// goroutine, and the two at the same time.
type talk interface {
	// fromClient and fromServer read the next piece.
	fromClient(r *bufio.Reader) (piece, error)
	fromServer(r *bufio.Reader) (piece, error)
}

// piece is something that is passed on or lost as a whole. Its content is not used again by who has read it.
type piece struct {
	content []byte
	// of is the exchange it belongs to; nil passes whatever the rules are.
	of     *exchange
	answer bool
	// more means that the answer goes on in the next piece of the same exchange.
	more bool
	// reply is sent back to where the piece came from, instead of passing it on.
	reply []byte
}

// exchange is a request with its answer.
type exchange struct {
	kinds []Kind
	// refused means that the answer is an error, as far as it has been read.
	refused bool
	// The verdict over the answer, which may come in several pieces.
	judged  bool
	verdict verdict
}

// link is one connection of a client, and that to the server which belongs to it.
type link struct {
	proxy  *Proxy
	client *net.TCPConn
	// dead means half-open: both sockets stay, and nothing is carried.
	dead atomic.Bool
	done chan struct{}

	mu     sync.Mutex
	server *net.TCPConn
	over   bool
}

// parcel is what is on its way to a socket.
type parcel struct {
	content []byte
	due     time.Time // zero = at once
	before  func()    // what happens when it is about to be written
	after   func()    // what happens when it has been written
}

// run carries both directions until both are over.
func (l *link) run(server *net.TCPConn) {
	l.mu.Lock()
	l.server = server
	over := l.over
	l.mu.Unlock()
	if over {
		_ = server.Close()
		return
	}
	t := l.proxy.proto.talk()
	var both sync.WaitGroup
	both.Go(func() { l.carry(l.client, server, t.fromClient) })
	both.Go(func() { l.carry(server, l.client, t.fromServer) })
	both.Wait()
	l.reset()
}

// carry reads, judges and writes one direction. Reading and writing are apart so
// that a delay is a delay, and no limit to how much is on its way.
func (l *link) carry(from, to *net.TCPConn, next func(*bufio.Reader) (piece, error)) {
	queue := make(chan parcel, 1024)
	var writing sync.WaitGroup
	writing.Go(func() { l.write(to, queue) })
	r := bufio.NewReaderSize(from, 64<<10)
	for {
		p, err := next(r)
		if err != nil || l.dead.Load() {
			break
		}
		if p.reply != nil {
			_, _ = from.Write(p.reply)
			continue
		}
		l.pass(p, queue)
	}
	close(queue)
	writing.Wait()
	if l.dead.Load() {
		l.sink(from) // At its end, if that is why reading ended.
	}
}

// pass judges a piece and sends it on its way.
func (l *link) pass(p piece, queue chan<- parcel) {
	if p.of == nil {
		l.enqueue(queue, parcel{content: p.content})
		return
	}
	v := l.judge(p)
	if v.lose {
		if !p.more {
			l.proxy.judge.happened(&v, p)
			l.enqueue(queue, parcel{after: l.ending(v.then)})
		}
		return
	}
	out := parcel{content: p.content}
	if v.delay > 0 {
		out.due = time.Now().Add(v.delay)
	}
	switch {
	case p.more:
	case v.cut:
		out.after = func() {
			l.proxy.judge.happened(&v, p)
			l.cutClient()
		}
	default: // Who has the answer finds the request and the answer counted.
		out.before = func() { l.proxy.judge.happened(&v, p) }
	}
	l.enqueue(queue, out)
}

// judge judges an answer once, however many pieces it comes in.
func (l *link) judge(p piece) verdict {
	if !p.answer {
		return l.proxy.judge.on(false, p.of.kinds)
	}
	if !p.of.judged {
		p.of.verdict, p.of.judged = l.proxy.judge.on(true, p.of.kinds), true
	}
	return p.of.verdict
}

func (l *link) ending(then Then) func() {
	switch then {
	case Cut:
		return l.reset
	case HalfOpen:
		return func() { l.dead.Store(true) }
	case Keep:
	}
	return nil
}

func (l *link) enqueue(queue chan<- parcel, p parcel) {
	select {
	case queue <- p:
	case <-l.done:
	}
}

// write ends when the queue does, and then passes the end of the stream on.
func (l *link) write(to *net.TCPConn, queue <-chan parcel) {
	w := bufio.NewWriterSize(to, 64<<10)
	for p := range queue {
		if wait := time.Until(p.due); !p.due.IsZero() && wait > 0 {
			_ = w.Flush() // The writer keeps the error.
			l.sleep(wait)
		}
		if l.dead.Load() {
			continue
		}
		if p.before != nil {
			p.before()
		}
		_, err := w.Write(p.content)
		if p.after != nil || len(queue) == 0 {
			err = w.Flush()
		}
		if p.after != nil && err == nil {
			p.after()
		}
	}
	if !l.dead.Load() {
		_ = w.Flush()
		_ = to.CloseWrite()
	}
}

func (l *link) sleep(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.done:
	}
}

// sink reads and throws away until the other side ends the connection.
func (l *link) sink(from io.Reader) { _, _ = io.Copy(io.Discard, from) }

// reset ends the connection on both sides at once.
func (l *link) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		return
	}
	l.over = true
	close(l.done)
	abort(l.client)
	if l.server != nil {
		abort(l.server)
	}
}

// cutClient resets the client's side. The server's side is ended in good order: a
// reset would make its kernel throw away what it has not read yet.
func (l *link) cutClient() {
	l.dead.Store(true)
	abort(l.client)
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.server.CloseWrite()
	_ = l.server.SetReadDeadline(time.Now().Add(30 * time.Second)) // It may be frozen.
}

// abort closes a socket with a reset.
func abort(conn *net.TCPConn) {
	_ = conn.SetLinger(0)
	_ = conn.Close()
}
