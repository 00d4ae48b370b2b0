package proxy

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/jackc/pgx/v5/pgproto3"
)

// Postgres starts a proxy of a PostgreSQL server.
func Postgres(opts Options) (*Proxy, error) {
	return newProxy(opts, dialect{
		kinds: []Kind{
			Startup, Cancel, Decide, Settle, Bury, Lease, Begin, Inside, EmptyCommit, Undo, Other,
		},
		talk: func() talk { return &session{statements: map[string][]Kind{}, portals: map[string][]Kind{}} },
	})
}

// Codes in the place of the protocol's version (PostgreSQL's pqcomm.h).
const (
	cancelCode = 80877102
	sslCode    = 80877103
	gssCode    = 80877104
)

// maxStartup is PostgreSQL's MAX_STARTUP_PACKET_LENGTH, maxMessage is more than we ever send.
const (
	maxStartup = 10_000
	maxMessage = 1 << 30
)

// session is a connection of PostgreSQL's protocol.
type session struct {
	mu      sync.Mutex
	waiting []*exchange // without a complete answer, oldest first

	// What follows belongs to the reader of the client's side.
	begun      bool
	statements map[string][]Kind // what a prepared statement does, by name
	portals    map[string][]Kind
	executed   []Kind // since the last Sync
	content    []byte // since the last Sync, not passed on yet
	inside     bool   // a transaction is open
	held       []Kind // what it will make durable
}

var _ talk = (*session)(nil)

// fromClient reads everything up to the next Sync, or a simple query.
func (s *session) fromClient(r *bufio.Reader) (piece, error) {
	if !s.begun {
		return s.startup(r)
	}
	for {
		message, err := readMessage(r)
		if err != nil {
			return piece{}, err
		}
		s.content = append(s.content, message...)
		kind, body := message[0], message[5:]
		switch kind {
		case 'Q':
			var query pgproto3.Query
			if err := query.Decode(body); err != nil {
				return piece{}, err
			}
			s.executed = append(s.executed, effects(query.String)...)
			return s.request(), nil
		case 'S', 'F':
			return s.request(), nil
		case 'H':
			return s.take(nil), nil // Its sender waits for answers before the Sync.
		case 'p', 'd', 'c', 'f', 'X':
			if len(s.content) == len(message) {
				return s.take(nil), nil // Passwords, COPY, the end: nobody answers them with ReadyForQuery.
			}
		default:
			if err := s.follow(kind, body); err != nil {
				return piece{}, err
			}
		}
	}
}

// startup reads what comes before there are messages.
func (s *session) startup(r *bufio.Reader) (piece, error) {
	head, err := r.Peek(8)
	if err != nil {
		return piece{}, err
	}
	n, code := binary.BigEndian.Uint32(head), binary.BigEndian.Uint32(head[4:])
	if n < 8 || n > maxStartup {
		return piece{}, fmt.Errorf("startup message of %d bytes", n)
	}
	content := make([]byte, n)
	if _, err := io.ReadFull(r, content); err != nil {
		return piece{}, err
	}
	switch code {
	case sslCode, gssCode:
		return piece{reply: []byte{'N'}}, nil
	case cancelCode:
		// The server answers with the end of the connection.
		return piece{content: content, of: &exchange{kinds: []Kind{Cancel}}}, nil
	}
	s.begun = true
	of := &exchange{kinds: []Kind{Startup}}
	s.expect(of)
	return piece{content: content, of: of}, nil
}

// follow keeps track of prepared statements and portals.
func (s *session) follow(kind byte, body []byte) error {
	switch kind {
	case 'P':
		var m pgproto3.Parse
		if err := m.Decode(body); err != nil {
			return err
		}
		s.statements[m.Name] = effects(m.Query)
	case 'B':
		var m pgproto3.Bind
		if err := m.Decode(body); err != nil {
			return err
		}
		s.portals[m.DestinationPortal] = s.statements[m.PreparedStatement]
	case 'E':
		var m pgproto3.Execute
		if err := m.Decode(body); err != nil {
			return err
		}
		s.executed = append(s.executed, s.portals[m.Portal]...)
	}
	// Names are not forgotten when they are closed: a name that is used again is parsed again.
	return nil
}

// request completes a request that is answered by a ReadyForQuery.
func (s *session) request() piece {
	of := &exchange{kinds: s.kinds()}
	s.expect(of)
	return s.take(of)
}

// take hands over what was read.
func (s *session) take(of *exchange) piece {
	p := piece{content: s.content, of: of}
	s.content = nil
	return p
}

// kinds works out what the statements of a request make durable.
func (s *session) kinds() []Kind {
	var kinds []Kind
	add := func(some ...Kind) {
		for _, kind := range some {
			if !slices.Contains(kinds, kind) {
				kinds = append(kinds, kind)
			}
		}
	}
	for _, effect := range s.executed {
		switch {
		case effect == Begin:
			s.inside, s.held = true, nil
			add(Begin)
		case effect == Undo:
			s.inside, s.held = false, nil
			add(Undo)
		case effect == EmptyCommit:
			if len(s.held) == 0 {
				add(EmptyCommit)
			}
			add(s.held...)
			s.inside, s.held = false, nil
		case s.inside:
			if effect != Other {
				s.held = append(s.held, effect)
			}
			add(Inside)
		default:
			add(effect)
		}
	}
	s.executed = nil
	if len(kinds) == 0 {
		return []Kind{Other}
	}
	return kinds
}

func (s *session) expect(of *exchange) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting = append(s.waiting, of)
}

// fromServer reads one message. The answer to a request ends with ReadyForQuery.
func (s *session) fromServer(r *bufio.Reader) (piece, error) {
	message, err := readMessage(r)
	if err != nil {
		return piece{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting) == 0 {
		return piece{content: message}, nil
	}
	p := piece{content: message, of: s.waiting[0], answer: true, more: true}
	switch message[0] {
	case 'E':
		p.of.refused = true
	case 'C':
		// The answer to COMMIT in a transaction that has failed.
		p.of.refused = p.of.refused || string(message[5:]) == "ROLLBACK\x00" && !slices.Contains(p.of.kinds, Undo)
	case 'Z':
		p.more = false
		s.waiting = s.waiting[1:]
	}
	return p, nil
}

// readMessage returns a message with its type and length in front.
func readMessage(r *bufio.Reader) ([]byte, error) {
	head, err := r.Peek(5)
	if err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[1:])
	if n < 4 || n > maxMessage {
		return nil, fmt.Errorf("message of %d bytes", n)
	}
	message := make([]byte, 1+n)
	_, err = io.ReadFull(r, message)
	return message, err
}
