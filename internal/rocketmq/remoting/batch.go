package remoting

import (
	"context"
	"sync/atomic"
	"time"
)

// A Batch is a number of requests to one address that go out in one write. It is filled, handed to [Pool.Submit] once, and
// not touched after that except for Cancel and Finished.
//
//	b := pool.Batch(n, timeout, done)
//	b.Begin(code); b.String("topic", topic); b.End(body)   // n times
//	pool.Submit(address, b)
type Batch struct {
	enc     Encoder
	timeout time.Duration
	done    func(i int, r Reply)
	oneway  bool

	frames []frameMark

	// Set when it is submitted, under the connection's lock.
	conn     *Conn
	first    int32 // opaque of the first request
	deadline time.Time
	started  time.Time // when the write began
	state    batchState
	base     int64 // stream position of the first byte, valid once it is being written
	open     int   // requests not claimed by an answer or a failure

	remaining atomic.Int64 // requests whose callback has not returned
	finished  chan struct{}
}

// batchState says how far a batch has come on its way to the kernel.
type batchState int

const (
	batchQueued  batchState = iota // certainly nothing of it was written
	batchWriting                   // perhaps some of it was written
	batchWritten                   // all of it was passed to the kernel
)

// A frameMark says where a request lies in the buffer.
type frameMark struct {
	end    int
	opaque int
}

// A Reply is what became of one request.
type Reply struct {
	// Response is the answer, valid during the callback only; nil if Err is not.
	Response *Command
	// Err says why there is no answer: it wraps ErrTimeout, ErrLost, ErrUnreachable, ErrTooLarge, ErrClosed or the cause given
	// to Batch.Cancel.
	Err error
	// Sent is false if it is certain that the peer cannot have received the request, because not all of it was passed to the
	// kernel. Only meaningful if Err is not nil.
	Sent bool
	// Took is the time from just before the write to the answer; 0 if nothing was written.
	Took time.Duration
}

// Begin starts the next request.
func (b *Batch) Begin(code int) {
	flag := int32(0)
	if b.oneway {
		flag = FlagOneway
	}
	b.enc.Begin(code, flag, 0, "")
}

// String adds an ext field to the request.
func (b *Batch) String(name, value string) { b.enc.String(name, value) }

// Text adds an ext field to the request.
func (b *Batch) Text(name string, value []byte) { b.enc.Text(name, value) }

// Int adds an ext field to the request.
func (b *Batch) Int(name string, value int64) { b.enc.Int(name, value) }

// Bool adds an ext field to the request.
func (b *Batch) Bool(name string, value bool) { b.enc.Bool(name, value) }

// End completes the request. If it returns [ErrTooLarge], the request is not part of the batch.
func (b *Batch) End(body []byte) error {
	at := b.enc.opaqueAt()
	if err := b.enc.End(body); err != nil {
		return err
	}
	b.frames = append(b.frames, frameMark{end: len(b.enc.buf), opaque: at})
	return nil
}

// encoded gives back what only the encoding needs.
func (b *Batch) encoded() {
	if b.enc.signer != nil {
		b.enc.signer.release()
		b.enc.signer = nil
	}
}

// Finished is closed when every callback has returned; for a one-way batch when it was written or given up.
func (b *Batch) Finished() <-chan struct{} { return b.finished }

// Passed reports whether all of request i was passed to the kernel. It may be called once Finished is closed, of a one-way batch.
func (b *Batch) Passed(i int) bool {
	if b.conn == nil {
		return false
	}
	b.conn.mu.Lock()
	defer b.conn.mu.Unlock()
	return b.sent(i, b.conn.written)
}

// Cancel gives up what is not answered yet: those requests fail with err, and what was not yet on its way is not sent. It may
// be called when Submit has returned.
func (b *Batch) Cancel(err error) {
	if b.conn != nil {
		b.conn.cancel(b, err)
	}
}

// sent reports whether request i can have reached the peer. Written is the stream position up to which the kernel has taken
// bytes, or -1 while a write is under way and nobody knows.
func (b *Batch) sent(i int, written int64) bool {
	switch {
	case b.state == batchQueued:
		return false
	case b.state == batchWritten || written < 0:
		return true
	default:
		return b.base+int64(b.frames[i].end) <= written
	}
}

// failAll completes a batch of which nothing was sent.
func (b *Batch) failAll(err error) {
	if b.oneway || len(b.frames) == 0 {
		close(b.finished)
		return
	}
	b.remaining.Store(int64(len(b.frames)))
	for i := range b.frames {
		b.reply(i, Reply{Err: err})
	}
}

// reply completes request i, which the caller has claimed.
func (b *Batch) reply(i int, r Reply) {
	b.done(i, r)
	if b.remaining.Add(-1) == 0 {
		close(b.finished)
	}
}

// Wait returns when every callback has returned. When ctx ends first, what is unanswered is cancelled.
func (b *Batch) Wait(ctx context.Context) {
	select {
	case <-b.finished:
	case <-ctx.Done():
		b.Cancel(context.Cause(ctx))
		<-b.finished
	}
}
