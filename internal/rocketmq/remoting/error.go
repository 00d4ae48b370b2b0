package remoting

import (
	"context"
	"errors"
	"fmt"
)

// Why there is no answer.
var (
	// ErrUnreachable: no connection could be made, or the circuit is open. Never sent.
	ErrUnreachable = errors.New("peer is unreachable")
	// ErrLost: the connection broke.
	ErrLost = errors.New("connection lost")
	// ErrClosed: the pool was closed.
	ErrClosed = errors.New("pool is closed")
	// ErrTimeout: no answer in time. It also is a context.DeadlineExceeded, for callers that do not import this package.
	ErrTimeout = fmt.Errorf("no answer in time: %w", context.DeadlineExceeded)
)

// errIdle ends a connection before the peer does: RocketMQ closes what was silent for 120 s, and a request written at that
// moment would be in doubt.
var errIdle = errors.New("connection was idle")

// errRetired ends a connection of a peer whose circuit has opened, once nothing is in flight on it any more.
var errRetired = errors.New("connection was replaced")
