package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// consumer reads a topic as it grows, one waiting pull for each queue, as RocketMQ's own consumers do.
type consumer struct {
	place   *place
	arrived atomic.Int64

	mu     sync.Mutex
	audit  *audit
	stored []time.Time // by number
	came   []time.Time
}

func newConsumer(p *place, rows, size int) *consumer {
	return &consumer{
		place: p, audit: newAudit(rows, size, p.kind.keyed),
		stored: make([]time.Time, rows+1), came: make([]time.Time, rows+1),
	}
}

// loops read one queue each until their context ends.
func (c *consumer) loops() []func(context.Context) error {
	var all []func(context.Context) error
	for number, b := range c.place.brokers {
		for queue := range topicQueues {
			all = append(all, func(ctx context.Context) error { return c.follow(ctx, number, b, queue) })
		}
	}
	return all
}

// suspendTime is how long the broker holds a pull that finds nothing.
const suspendTime = 5 * time.Second

func (c *consumer) follow(ctx context.Context, number int, b Broker, queue int) error {
	for offset := int64(0); ; {
		answers, err := c.place.bench.pull(ctx, c.place.topic, b, map[int]int64{queue: offset}, suspendTime)
		now := time.Now()
		select {
		case <-ctx.Done(): // it is over
			return nil
		default:
		}
		if err != nil {
			return err
		}
		c.mu.Lock()
		for _, m := range answers[queue] {
			if m.QueueOffset != offset {
				c.mu.Unlock()
				return fmt.Errorf("queue %d goes on at offset %d where %d was due", queue, m.QueueOffset, offset)
			}
			offset++
			c.take(message{number, queue, m.Body, time.UnixMilli(m.StoreTimestamp)}, now)
		}
		c.mu.Unlock()
	}
}

// take notes a message. The caller holds the lock.
func (c *consumer) take(m message, now time.Time) {
	c.audit.add(m)
	c.arrived.Add(1)
	n, err := strconv.Atoi(string(m.body[:min(numberWidth, len(m.body))]))
	if err == nil && n > 0 && n < len(c.came) && c.came[n].IsZero() {
		c.stored[n], c.came[n] = m.stored, now
	}
}

// awaitAll waits until every row has come.
func (c *consumer) awaitAll(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, lastPatience, errors.New("the last messages did not come"))
	defer cancel()
	for {
		c.mu.Lock()
		missing := c.audit.rows - c.audit.arrived
		c.mu.Unlock()
		if missing == 0 {
			return nil
		}
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return fmt.Errorf("%d of %d messages are missing: %w", missing, c.audit.rows, err)
		}
	}
}

// latencies are the times from the acknowledged commit of each row, from the first on, to the broker's store time and to here.
// The store time has whole milliseconds only, and a message can be stored before the application hears of its own commit.
func (c *consumer) latencies(committed []time.Time, first int) (toStore, toConsumer latencies) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for n := first; n < len(committed); n++ {
		toStore = append(toStore, c.stored[n].Sub(committed[n]))
		toConsumer = append(toConsumer, c.came[n].Sub(committed[n]))
	}
	slices.Sort(toStore)
	slices.Sort(toConsumer)
	return toStore, toConsumer
}

// latencies are sorted.
type latencies []time.Duration

func (l latencies) add(v Values, p50, p95, p99, most Measure) {
	for m, q := range map[Measure]float64{p50: 0.5, p95: 0.95, p99: 0.99, most: 1} {
		v[m] = float64(l.at(q).Microseconds()) / 1000
	}
}

// at returns the value below which the part q lies.
func (l latencies) at(q float64) time.Duration {
	if len(l) == 0 {
		return 0
	}
	return l[min(len(l)-1, int(q*float64(len(l))))]
}
