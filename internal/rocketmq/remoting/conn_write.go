package remoting

import (
	"fmt"
	"net"
	"time"
)

// write gathers whatever is queued into one write, until the connection is over.
func (c *Conn) write(nc net.Conn) {
	var taken []*Batch
	for {
		select {
		case <-c.wake:
		case <-c.ctx.Done():
			return
		}
		taken = c.take(taken[:0])
		if len(taken) == 0 {
			continue
		}
		err := nc.SetWriteDeadline(time.Now().Add(c.options.WriteTimeout))
		var n int64
		if err == nil {
			bufs := c.bufs
			n, err = bufs.WriteTo(nc)
		}
		c.wrote(taken, n, err)
		if err != nil {
			c.fail(fmt.Errorf("%w: write to %s: %w", ErrLost, c.address, err))
			return
		}
	}
}

// take moves the queue to the writer. From here on nobody but the writer knows how much of it is sent.
func (c *Conn) take(taken []*Batch) []*Batch {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return taken
	}
	c.bufs = c.bufs[:0]
	at := c.written
	for _, b := range c.queue {
		b.state, b.base, b.started = batchWriting, at, now
		at += int64(len(b.enc.buf))
		c.bufs = append(c.bufs, b.enc.buf)
		taken = append(taken, b)
	}
	clear(c.queue)
	c.queue = c.queue[:0]
	return taken
}

// wrote notes what the kernel took of the batches.
func (c *Conn) wrote(taken []*Batch, n int64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.written += n
	for _, b := range taken {
		if err == nil {
			b.state = batchWritten
			c.release(b)
		}
		if b.oneway {
			close(b.finished)
		}
	}
}

// release keeps the buffer of a batch for the next one.
func (c *Conn) release(b *Batch) {
	if buf := b.enc.buf[:0]; cap(buf) <= keepBuffer {
		c.buffers.Put(&buf)
	}
	b.enc.buf = nil
}
