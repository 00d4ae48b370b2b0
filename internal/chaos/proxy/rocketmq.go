package proxy

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"strconv"
	"sync"
)

// RocketMQ starts a proxy of a broker or of a name server.
func RocketMQ(opts Options) (*Proxy, error) {
	return newProxy(opts, dialect{
		kinds: []Kind{
			Half, Send, Commit, Rollback, Check, CheckBack, Pull, Query, Offset, Heartbeat, Route, Other,
		},
		numbered: true,
		talk:     func() talk { return &remoting{client: calls{}, server: calls{}} },
	})
}

// Request codes (RocketMQ 5.3 RequestCode).
const (
	sendMessage           = 10
	pullMessage           = 11
	queryMessage          = 12
	getMaxOffset          = 30
	getMinOffset          = 31
	heartBeat             = 34
	endTransaction        = 37
	checkTransactionState = 39
	getRouteByTopic       = 105
	sendMessageV2         = 310
	sendBatchMessage      = 320
)

// Bits of a message's sysFlag, and values of commitOrRollback (MessageSysFlag).
const (
	transactionType     = 12
	transactionPrepared = 4
	transactionCommit   = 8
	transactionRollback = 12
)

// maxFrame is the limit that RocketMQ's peers set themselves.
const maxFrame = 16 << 20

// remoting is a connection of the remoting protocol. Either side asks and answers.
type remoting struct {
	mu             sync.Mutex
	client, server calls // what the client asked, and the server
}

// calls are the kinds of requests without an answer yet, by their number.
type calls map[int32]Kind

var _ talk = (*remoting)(nil)

func (c *remoting) fromClient(r *bufio.Reader) (piece, error) { return c.next(r, c.client, c.server) }

func (c *remoting) fromServer(r *bufio.Reader) (piece, error) { return c.next(r, c.server, c.client) }

// next reads a frame of one side, given what that side has asked and the other.
func (c *remoting) next(r *bufio.Reader, asked, other calls) (piece, error) {
	frame, err := readFrame(r)
	if err != nil {
		return piece{}, err
	}
	h, err := readHeader(frame)
	if err != nil {
		return piece{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if h.Flag&flagAnswer != 0 {
		kind, ok := other[h.Opaque]
		if !ok {
			kind = Other
		}
		delete(other, h.Opaque)
		return piece{content: frame, answer: true, of: &exchange{kinds: []Kind{kind}, refused: h.Code != 0}}, nil
	}
	kind := h.kind()
	if h.Flag&flagOneway == 0 {
		asked[h.Opaque] = kind
	}
	return piece{content: frame, of: &exchange{kinds: []Kind{kind}}}, nil
}

// readFrame returns a frame with its length in front.
func readFrame(r *bufio.Reader) ([]byte, error) {
	size, err := r.Peek(4)
	if err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(size)
	if n < 4 || n > maxFrame {
		return nil, fmt.Errorf("frame of %d bytes", n)
	}
	frame := make([]byte, 4+n)
	_, err = io.ReadFull(r, frame)
	return frame, err
}

// kind is what a request is about.
func (h *header) kind() Kind {
	switch h.Code {
	case sendMessage, sendMessageV2, sendBatchMessage:
		return h.sendKind()
	case endTransaction:
		return h.endKind()
	case checkTransactionState:
		return Check
	case pullMessage:
		return Pull
	case queryMessage:
		return Query
	case getMaxOffset, getMinOffset:
		return Offset
	case heartBeat:
		return Heartbeat
	case getRouteByTopic:
		return Route
	}
	return Other
}

func (h *header) sendKind() Kind {
	text := h.Fields["sysFlag"]
	if h.Code != sendMessage {
		text = h.Fields["f"] // V2 saves on names.
	}
	flags, err := strconv.Atoi(text)
	if err == nil && flags&transactionType == transactionPrepared {
		return Half
	}
	return Send
}

func (h *header) endKind() Kind {
	if h.Fields["fromTransactionCheck"] == "true" {
		return CheckBack
	}
	switch h.Fields["commitOrRollback"] {
	case strconv.Itoa(transactionCommit):
		return Commit
	case strconv.Itoa(transactionRollback):
		return Rollback
	}
	return Other
}
