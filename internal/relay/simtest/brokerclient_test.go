package simtest

import (
	"context"
	"time"

	"github.com/outbox-relay/outbox-relay/internal/relay"
)

// brokerClient is the brokers as one process sees them: over lines that lose requests and answers, keep them for long, and
// deliver them in any order.
type brokerClient struct {
	brokers []*memBroker
	life    *life
}

var _ relay.Broker = (*brokerClient)(nil)

// answerTimeout is how long a client waits for an answer to anything but a commit.
const answerTimeout = 3 * time.Second

// queuesPerBroker is how many queues each topic has on each broker.
const queuesPerBroker = 2

// timeoutError is what a client reports when no answer came in time.
type timeoutError struct{}

func (timeoutError) Error() string { return "no answer in time" }
func (timeoutError) Timeout() bool { return true }

// Queues leaves out brokers that do not answer.
func (c *brokerClient) Queues(topic string) []relay.Queue {
	return c.queues(topic, (*memBroker).answers)
}

// Routed lists all.
func (c *brokerClient) Routed(topic string) []relay.Queue {
	return c.queues(topic, func(*memBroker) bool { return true })
}

func (c *brokerClient) queues(_ string, listed func(*memBroker) bool) []relay.Queue {
	var queues []relay.Queue
	for _, b := range c.brokers {
		for i := range queuesPerBroker {
			if listed(b) {
				queues = append(queues, relay.Queue{Broker: b.name, ID: i})
			}
		}
	}
	return queues
}

func (c *brokerClient) Address(broker string) (string, bool) {
	for _, b := range c.brokers {
		if b.name == broker {
			return b.address, b.answers()
		}
	}
	return "", false
}

func (c *brokerClient) at(address string) *memBroker {
	for _, b := range c.brokers {
		if b.address == address {
			return b
		}
	}
	return nil
}

// request sends one request and waits for its answer. It is never taken back: it may arrive long after the caller gave up.
// sent is false if it certainly never arrives.
func request[T any](
	ctx context.Context, c *brokerClient, address string, timeout time.Duration, process func(b *memBroker) (T, bool),
) (answer T, sent bool, err error) {
	var nothing T
	w, b := c.life.w, c.at(address)
	line := b.line()
	if !c.life.hold() {
		return nothing, false, errKilled
	}
	if w.chance.fault(0.005) || b.down() && w.chance.hit(0.5) {
		time.Sleep(w.chance.between(0, 50*time.Millisecond))
		return nothing, false, errUnreachable
	}
	var lost <-chan time.Time
	if w.chance.fault(0.005) {
		lost = time.After(w.chance.between(0, 20*time.Millisecond))
	}
	answers := transmit(w, b, line, process)
	expired := time.NewTimer(timeout)
	defer expired.Stop()
	select {
	case answer = <-answers:
	case <-expired.C:
		err = timeoutError{}
	case <-lost:
		err = errLost
	case <-ctx.Done():
		err = ctx.Err()
	}
	if !c.life.hold() {
		return nothing, true, errKilled
	}
	return answer, true, err
}

// transmit takes a request to the broker and, if nothing comes between, the answer back.
func transmit[T any](w *world, b *memBroker, line int, process func(b *memBroker) (T, bool)) <-chan T {
	there, back := w.chance.travel(), w.chance.travel()
	lostThere, lostBack := w.chance.fault(0.005), w.chance.fault(0.01)
	if b.rules.clockSetBack && w.chance.fault(0.3) {
		there = w.chance.between(longestTravel/2, longestTravel)
	}
	answers := make(chan T, 1)
	w.fly(func() {
		time.Sleep(there)
		if lostThere || b.down() || b.line() != line {
			return
		}
		answer, answered := process(b)
		time.Sleep(back)
		if answered && !lostBack && !b.down() {
			answers <- answer
		}
	})
	return answers
}

// each makes one request for each of n things, all at once, and waits for every outcome.
func each[T any](n int, one func(i int) T) []T {
	type indexed struct {
		i int
		v T
	}
	done := make(chan indexed, n)
	for i := range n {
		go func() { done <- indexed{i, one(i)} }()
	}
	all := make([]T, n)
	for range n {
		d := <-done
		all[d.i] = d.v
	}
	return all
}

func (c *brokerClient) Halves(ctx context.Context, address string, halves []relay.Half) []relay.HalfAnswer {
	return each(len(halves), func(i int) relay.HalfAnswer {
		began := time.Now()
		half := halves[i]
		a, sent, err := request(ctx, c, address, answerTimeout, func(b *memBroker) (relay.HalfAnswer, bool) { return b.half(half), true })
		if err != nil {
			a = relay.HalfAnswer{Answer: relay.Answer{Err: err, Sent: sent}}
		}
		a.Took = time.Since(began)
		return a
	})
}

// Commit answers from goroutines of its own; the requests of one call arrive in any order.
func (c *brokerClient) Commit(address string, halves []relay.StoredHalf, timeout time.Duration, answered func(i int, a relay.Answer)) {
	for i, half := range halves {
		c.life.w.fly(func() { answered(i, c.end(context.Background(), address, half, true, timeout)) })
	}
}

// Send answers from goroutines of its own; the requests of one call arrive in any order.
func (c *brokerClient) Send(address string, requests [][]relay.Half, answered func(i int, a relay.Answer)) {
	for i, messages := range requests {
		c.life.w.fly(func() {
			began := time.Now()
			a, sent, err := request(context.Background(), c, address, answerTimeout,
				func(b *memBroker) (relay.Answer, bool) { return b.send(messages) })
			if err != nil {
				a = relay.Answer{Err: err, Sent: sent}
			}
			a.Took = time.Since(began)
			answered(i, a)
		})
	}
}

// Oneway is not simulated: its messages may be lost.
func (c *brokerClient) Oneway(address string, requests [][]relay.Half, answered func(i int, a relay.Answer)) {
	c.Send(address, requests, answered)
}

func (c *brokerClient) Delays(ctx context.Context, address string) (relay.Delays, error) {
	d, _, err := request(ctx, c, address, answerTimeout, func(b *memBroker) (relay.Delays, bool) { return b.delays, true })
	return d, err
}

func (c *brokerClient) Rollback(ctx context.Context, address string, halves []relay.StoredHalf) []relay.Answer {
	return each(len(halves), func(i int) relay.Answer { return c.end(ctx, address, halves[i], false, answerTimeout) })
}

func (c *brokerClient) Forget(address string, halves []relay.StoredHalf) {
	for _, half := range halves {
		c.life.w.fly(func() { c.end(context.Background(), address, half, false, answerTimeout) })
	}
}

// end sends one END_TRANSACTION.
func (c *brokerClient) end(ctx context.Context, address string, half relay.StoredHalf, commit bool, timeout time.Duration) relay.Answer {
	w := c.life.w
	if !c.life.hold() {
		return relay.Answer{Err: errKilled}
	}
	began := time.Now()
	patience := timeout
	if w.chance.fault(0.01) {
		patience += time.Second // an answer may be read a little after the timeout
	}
	a, sent, err := request(ctx, c, address, patience, func(b *memBroker) (relay.Answer, bool) { return b.endTransaction(half, commit) })
	if err != nil {
		a = relay.Answer{Err: err, Sent: sent}
	}
	a.Took = time.Since(began)
	if commit {
		w.trace.add("%s: commit of %s answered after %s: %d %s, sent %v, %v", c.life.name, half.UniqKey, a.Took, a.Code, a.Remark, sent, err)
	}
	return a
}

func (c *brokerClient) StoredAt(ctx context.Context, address string, half relay.StoredHalf) (time.Time, error) {
	at, _, err := request(ctx, c, address, answerTimeout, func(b *memBroker) (time.Time, bool) { return b.storedAt(half) })
	return at, err
}

// MaxOffsets, Lookup, ReadBack and Dispatched fail as a whole.
func (c *brokerClient) MaxOffsets(ctx context.Context, address string, queues []relay.TopicQueue) ([]int64, error) {
	offsets, _, err := request(ctx, c, address, answerTimeout, func(b *memBroker) ([]int64, bool) {
		ends := make([]int64, len(queues))
		for i, q := range queues {
			ends[i] = b.end(q)
		}
		return ends, true
	})
	return offsets, err
}

func (c *brokerClient) Lookup(ctx context.Context, address, topic, uniqKey string) (bool, error) {
	found, _, err := request(ctx, c, address, answerTimeout, func(b *memBroker) (bool, bool) { return b.lookup(topic, uniqKey), true })
	return found, err
}

func (c *brokerClient) ReadBack(
	ctx context.Context, address string, q relay.TopicQueue, from int64, found func(uniqKey string),
) (relay.ReadProof, error) {
	type reading struct {
		keys  []string
		proof relay.ReadProof
	}
	r, _, err := request(ctx, c, address, 2*answerTimeout, func(b *memBroker) (reading, bool) {
		keys, proof := b.read(q, from)
		return reading{keys, proof}, true
	})
	if err != nil {
		return relay.ReadProof{}, err
	}
	if c.life.w.chance.fault(0.03) {
		r.proof = relay.ReadProof{Why: "a gap"}
		r.keys = r.keys[:len(r.keys)/2]
	}
	for _, key := range r.keys {
		found(key)
	}
	return r.proof, nil
}

func (c *brokerClient) Dispatched(ctx context.Context, address string, halfOffset int64) (bool, error) {
	passed, _, err := request(ctx, c, address, answerTimeout, func(b *memBroker) (bool, bool) { return b.isDispatched(halfOffset), true })
	return passed, err
}
