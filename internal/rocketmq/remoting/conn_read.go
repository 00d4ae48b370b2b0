package remoting

import (
	"fmt"
	"net"
	"time"
)

// read matches answers with requests until the connection is over.
func (c *Conn) read(nc net.Conn) {
	frames := NewFrameReader(nc)
	var cmd Command
	for {
		frame, err := frames.Next()
		if err == nil {
			err = cmd.Decode(frame)
		}
		if err != nil {
			c.fail(fmt.Errorf("%w: read from %s: %w", ErrLost, c.address, err))
			return
		}
		now := time.Now()
		b, i, took := c.answered(&cmd, now)
		switch {
		case b != nil:
			b.reply(i, Reply{Response: &cmd, Took: took})
		case cmd.Response():
			c.stats.late.Add(1)
		case c.options.OnRequest != nil:
			c.options.OnRequest(c.address, &cmd)
		default:
			// A request of the peer, such as a check-back. Our connections are in no group; the session's are.
			c.stats.ignored.Add(1)
		}
	}
}

// answered claims the request that cmd answers; nil if there is none (any more).
func (c *Conn) answered(cmd *Command, now time.Time) (*Batch, int, time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lastRead, c.lastUse = now, now
	if !cmd.Response() {
		return nil, 0, 0
	}
	b := c.pending[cmd.Opaque]
	if b == nil || b.state == batchQueued {
		return nil, 0, 0
	}
	i := int(cmd.Opaque - b.first)
	c.claimLocked(b, i)
	return b, i, b.took(now)
}

// took returns the time since just before the write.
func (b *Batch) took(now time.Time) time.Duration {
	if b.started.IsZero() {
		return 0
	}
	return now.Sub(b.started)
}
