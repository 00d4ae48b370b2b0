package fakemq

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/outbox-relay/outbox-relay/internal/rocketmq/remoting"
)

// A Request is what came in. It is a copy.
type Request struct {
	*remoting.Command
	Connection int // counted from 1
}

// Field returns an ext field, "" if there is none.
func (r Request) Field(name string) string {
	v, _ := r.Ext(name)
	return string(v)
}

// Oneway reports whether no answer is wanted.
func (r Request) Oneway() bool { return r.Flag&remoting.FlagOneway != 0 }

// A Reply is what goes out. The zero Reply is success.
type Reply struct {
	Code   int
	Remark string
	Fields map[string]string
	Body   []byte
	JSON   bool // header as JSON

	After  time.Duration // answer later, while other requests are served
	Drop   bool          // no answer
	Hangup bool          // no answer, and the connection is closed
	Raw    []byte        // if set, these bytes and nothing else
}

// A Handler answers requests. It is called by one goroutine per connection, in the order of the requests.
type Handler func(Request) Reply

// A Server is one scripted peer.
type Server struct {
	listener net.Listener
	working  sync.WaitGroup

	mu       sync.Mutex
	handlers map[int]Handler
	requests []Request
	conns    map[net.Conn]int
	accepted int
	closed   bool
	frozen   chan struct{} // closed when thawed; nil if not frozen
}

// Listen starts a server on a free port. It ends with the test.
func Listen(t testing.TB) *Server {
	t.Helper()
	return ListenOn(t, "127.0.0.1:0")
}

// ListenOn starts a server on an address.
func ListenOn(t testing.TB, address string) *Server {
	t.Helper()
	var config net.ListenConfig
	l, err := config.Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Fatalf("fakemq: %v", err)
	}
	s := &Server{listener: l, handlers: make(map[int]Handler), conns: make(map[net.Conn]int)}
	s.working.Go(s.accept)
	t.Cleanup(s.Close)
	return s
}

// Address is host:port.
func (s *Server) Address() string { return s.listener.Addr().String() }

// Handle sets what requests of a code are answered with. Requests without a handler are answered 3, as RocketMQ does.
func (s *Server) Handle(code int, h Handler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handlers[code] = h
}

// Answer answers every request of a code alike.
func (s *Server) Answer(code int, r Reply) { s.Handle(code, func(Request) Reply { return r }) }

// Requests returns the requests of a code so far.
func (s *Server) Requests(code int) []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	var some []Request
	for _, r := range s.requests {
		if r.Code == code {
			some = append(some, r)
		}
	}
	return some
}

// Connections returns how many connections were accepted so far.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.accepted
}

// Freeze stops reading, as a stopped process does: connections stay open and new ones are accepted by the kernel.
func (s *Server) Freeze() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.frozen == nil {
		s.frozen = make(chan struct{})
	}
}

// Thaw ends Freeze.
func (s *Server) Thaw() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.frozen != nil {
		close(s.frozen)
		s.frozen = nil
	}
}

// Hangup closes all connections.
func (s *Server) Hangup() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		_ = c.Close()
	}
}

// Push sends a request of the server's own, or raw bytes, to every connection.
func (s *Server) Push(code int, raw []byte) {
	var e remoting.Encoder
	e.Begin(code, remoting.FlagOneway, 1, "")
	_ = e.End(nil) // small
	if raw == nil {
		raw = e.Bytes()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		_, _ = c.Write(raw)
	}
}

// Close ends the server and waits for its goroutines.
func (s *Server) Close() {
	s.Thaw()
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	_ = s.listener.Close()
	s.Hangup()
	s.working.Wait()
}

func (s *Server) accept() {
	for {
		c, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.accepted++
		n := s.accepted
		s.conns[c] = n
		if s.closed {
			_ = c.Close()
		}
		s.mu.Unlock()
		s.working.Go(func() { s.serve(c, n) })
	}
}

func (s *Server) serve(c net.Conn, n int) {
	defer func() {
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
		_ = c.Close()
	}()
	var writing sync.Mutex
	frames := remoting.NewFrameReader(&freezable{c, s})
	for {
		frame, err := frames.Next()
		if err != nil {
			return
		}
		var cmd remoting.Command
		if err := cmd.Decode(frame); err != nil {
			return
		}
		if cmd.Response() {
			continue
		}
		if !s.handle(c, &writing, Request{cmd.Clone(), n}) {
			return
		}
	}
}

// handle answers one request; false if the connection is to be closed.
func (s *Server) handle(c net.Conn, writing *sync.Mutex, r Request) bool {
	s.mu.Lock()
	s.requests = append(s.requests, r)
	h := s.handlers[r.Code]
	s.mu.Unlock()
	reply := Reply{Code: 3, Remark: "fakemq: no handler"}
	if h != nil {
		reply = h(r)
	}
	if reply.Hangup {
		return false
	}
	if reply.Drop || r.Oneway() {
		return true
	}
	write := func() {
		writing.Lock()
		defer writing.Unlock()
		_, _ = c.Write(reply.encode(r.Opaque))
	}
	if reply.After == 0 {
		write()
		return true
	}
	s.working.Go(func() {
		time.Sleep(reply.After)
		write()
	})
	return true
}

func (r Reply) encode(opaque int32) []byte {
	if r.Raw != nil {
		return r.Raw
	}
	e := remoting.Encoder{JSON: r.JSON}
	e.Begin(r.Code, remoting.FlagResponse, opaque, r.Remark)
	for k, v := range r.Fields {
		e.String(k, v)
	}
	_ = e.End(r.Body) // a test that wants a frame over the limit uses Raw
	return e.Bytes()
}

// freezable reads nothing while its server is frozen.
type freezable struct {
	io.Reader
	server *Server
}

func (f *freezable) Read(b []byte) (int, error) {
	n, err := f.Reader.Read(b)
	f.server.mu.Lock()
	frozen := f.server.frozen
	f.server.mu.Unlock()
	if frozen != nil {
		<-frozen
	}
	return n, err
}
