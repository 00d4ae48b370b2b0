package remoting

import (
	"fmt"
	"slices"
	"time"
)

// A connection has one timer, set to its earliest deadline, however many requests are in flight.

// watchLocked makes the timer fire at the deadline at the latest.
func (c *Conn) watchLocked(deadline time.Time) {
	switch {
	case c.timer == nil:
		c.timer = time.AfterFunc(time.Until(deadline), c.sweep)
	case c.timerAt.IsZero() || deadline.Before(c.timerAt):
		c.timer.Reset(time.Until(deadline))
	default:
		return
	}
	c.timerAt = deadline
}

// sweep fails every request whose deadline has passed.
func (c *Conn) sweep() {
	now := time.Now()
	var late []*Batch
	silent := false
	c.mu.Lock()
	c.timerAt = time.Time{}
	if c.err != nil {
		c.mu.Unlock()
		return // the writer completes everything
	}
	for b := range c.open {
		if b.deadline.After(now) {
			c.watchLocked(b.deadline)
			continue
		}
		late = append(late, b)
		if b.state != batchQueued && !c.lastRead.After(b.started) {
			silent = true
		}
	}
	c.mu.Unlock()
	if silent {
		c.events.silent(c) // first, so that whoever gets the timeout finds the circuit open
	}
	for _, b := range late {
		c.cancel(b, fmt.Errorf("%w (%s within %v)", ErrTimeout, c.address, b.timeout))
	}
}

// cancel fails what is unanswered of a batch. What the writer has not taken yet is never written.
func (c *Conn) cancel(b *Batch, err error) {
	now := time.Now()
	c.mu.Lock()
	if b.state == batchQueued {
		if at := slices.Index(c.queue, b); at >= 0 {
			c.queue = slices.Delete(c.queue, at, at+1)
			if b.oneway {
				close(b.finished)
			}
		}
	}
	sent, took := b.sent(0, -1), b.took(now)
	var mine []int
	if !b.oneway {
		for i := range b.frames {
			if c.claimLocked(b, i) {
				mine = append(mine, i)
			}
		}
	}
	c.mu.Unlock()
	for _, i := range mine {
		b.reply(i, Reply{Err: err, Sent: sent, Took: took})
	}
}
