package rocketmq

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/outbox-relay/outbox-relay/internal/rocketmq/remoting"
)

const (
	traceGroup     = "_INNER_TRACE_PRODUCER" // TraceConstants.GROUP_NAME
	tracesUnderWay = 4                       // messages that wait for an answer
	traceRouteAge  = 30 * time.Second
	traceRouteGap  = 5 * time.Second // between two questions for a route that there is not
)

// A traceWriter sends messages of the trace, over connections of its own: on those of the rows they would be in the way.
type traceWriter struct {
	client *Client
	on     func(written bool, n int)
	pool   *remoting.Pool
	stop   context.Context // ends when what is left is given up
	giveUp context.CancelFunc
	slots  chan struct{}

	routes  map[string]*traceRoute // the writing goroutine's
	turn    int                    // likewise
	left    atomic.Int64           // records dropped after hurry
	hurried atomic.Bool

	mu      sync.Mutex
	trouble string // what was logged last
}

type traceRoute struct {
	at     time.Time
	route  *topicRoute
	err    error
	doubts atomic.Bool // an answer did not fit it
}

func newTraceWriter(c *Client, on func(bool, int)) (*traceWriter, error) {
	w := &traceWriter{client: c, on: on, slots: make(chan struct{}, tracesUnderWay), routes: make(map[string]*traceRoute)}
	w.stop, w.giveUp = context.WithCancel(context.Background())
	o := c.options.remoting(c.keys, true)
	o.Connections, o.Probe = 1, c.probe
	var err error
	if w.pool, err = remoting.NewPool(o); err != nil {
		return nil, fmt.Errorf("connections for message traces: %w", err)
	}
	return w, nil
}

// write sends messages, and waits only until they are on their way. What cannot be sent is dropped.
func (w *traceWriter) write(messages []traceMessage) {
	for i := range messages {
		m := &messages[i]
		if err := w.send(m); err != nil {
			w.dropped(m, err)
		}
	}
}

func (w *traceWriter) send(m *traceMessage) error {
	route, err := w.route(m.topic)
	if err != nil {
		return err
	}
	address, queue, ok := w.queue(route.route)
	if !ok {
		route.doubts.Store(true)
		return fmt.Errorf("topic %s: no broker that takes it answers at present", m.topic)
	}
	select {
	case w.slots <- struct{}{}:
	case <-w.stop.Done():
		return context.Cause(w.stop)
	}
	b := w.pool.Batch(1, w.client.options.RequestTimeout, func(_ int, r remoting.Reply) {
		defer func() { <-w.slots }()
		_, err := success(r.Response, r.Err)
		if err != nil {
			route.doubts.Store(true)
			w.dropped(m, fmt.Errorf("topic %s on %s: %w", m.topic, address, err))
			return
		}
		w.written(m)
	})
	if err := w.fill(b, m, queue); err != nil {
		<-w.slots
		return err
	}
	w.pool.Submit(address, b)
	return nil
}

// fill appends the message: an ordinary one, that need not be on disk before it is acknowledged.
func (w *traceWriter) fill(b *remoting.Batch, m *traceMessage, queue int) error {
	const end = string(valueEnd)
	properties := strings.Join([]string{
		"KEYS" + string(nameEnd) + strings.TrimSpace(string(m.keys)), "UNIQ_KEY" + string(nameEnd) + strings.ToUpper(randomHex(16)),
		"WAIT" + string(nameEnd) + "false", "",
	}, end)
	b.Begin(reqSendMessageV2)
	b.String("a", traceGroup)
	b.String("b", w.client.names.Wire(m.topic))
	b.String("c", "TBW102")
	b.Int("d", 4)
	b.Int("e", int64(queue))
	b.Int("f", 0)
	b.Int("g", time.Now().UnixMilli())
	b.Int("h", 0)
	b.String("i", properties)
	b.Int("j", 0)
	b.Bool("k", false)
	b.Int("l", 0)
	b.Bool("m", false)
	return b.End(m.body)
}

// route returns the topic's route, which is asked for anew from time to time, and when an answer did not fit it.
func (w *traceWriter) route(topic string) (*traceRoute, error) {
	r := w.routes[topic]
	if r != nil {
		age := time.Since(r.at)
		fresh := age < traceRouteAge && r.err == nil && !r.doubts.Load()
		if fresh || age < traceRouteGap {
			return r, r.err
		}
	}
	r = &traceRoute{at: time.Now()}
	ctx, cancel := context.WithTimeout(w.stop, w.client.options.RequestTimeout)
	defer cancel()
	if r.route, r.err = w.client.servers.route(ctx, topic); r.err == nil {
		r.err = r.route.writable(topic)
	} else {
		r.err = &TopicError{Topic: topic, Err: r.err}
	}
	if errors.Is(r.err, ErrTopicMissing) && topic == defaultTraceTopic {
		r.err = fmt.Errorf("%w: brokers have it if traceTopicEnable=true is in their configuration", r.err)
	}
	w.routes[topic] = r
	return r, r.err
}

// queue takes the queues in turn, those of brokers that answer.
func (w *traceWriter) queue(route *topicRoute) (address string, queue int, ok bool) {
	type place struct {
		address string
		queue   int
	}
	var places []place
	for _, q := range route.queues {
		if a := route.masters[q.broker]; q.perm&permWrite != 0 && a != "" && w.pool.Available(a) {
			for id := range q.write {
				places = append(places, place{a, id})
			}
		}
	}
	if len(places) == 0 {
		return "", 0, false
	}
	w.turn++
	p := places[w.turn%len(places)]
	return p.address, p.queue, true
}

func (w *traceWriter) written(m *traceMessage) {
	w.on(true, m.records)
	w.report("", nil)
}

func (w *traceWriter) dropped(m *traceMessage, err error) {
	w.on(false, m.records)
	if w.hurried.Load() {
		w.left.Add(int64(m.records))
	}
	w.report(m.topic, err)
}

// report logs trouble once, until it is over.
func (w *traceWriter) report(topic string, err error) {
	w.mu.Lock()
	before := w.trouble
	w.trouble = topic
	w.mu.Unlock()
	switch {
	case before == topic || w.stop.Err() != nil:
	case err == nil:
		w.client.log.Info("message traces are written again")
	default:
		w.client.log.Warn("message traces cannot be written, and are dropped", slog.String("topic", topic), slog.String("error", err.Error()))
	}
}

// hurry gives up what is not on its way when ctx ends.
func (w *traceWriter) hurry(ctx context.Context) {
	w.hurried.Store(true)
	context.AfterFunc(ctx, w.giveUp)
}

// close waits for what is on its way until ctx ends, and returns how many records were dropped since hurry.
func (w *traceWriter) close(ctx context.Context) int {
	for range tracesUnderWay {
		select {
		case w.slots <- struct{}{}:
		case <-ctx.Done():
		}
	}
	w.pool.Close()
	w.giveUp()
	return int(w.left.Load())
}
