package rocketmq

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/outbox-relay/outbox-relay/internal/relay"
	"github.com/outbox-relay/outbox-relay/internal/rocketmq/remoting"
)

// TraceOptions say whether RocketMQ's message trace is written, and where to.
type TraceOptions struct {
	Enabled bool
	// Topic is where records go. Default RMQ_SYS_TRACE_TOPIC.
	Topic string
	// Cloud is ApsaraMQ, which has a topic for each region; Topic is ignored.
	Cloud bool
	// OnRecords, if set, is told how many records were written, or dropped. It must not block.
	OnRecords func(written bool, n int)
}

const (
	defaultTraceTopic = "RMQ_SYS_TRACE_TOPIC" // TopicValidator.RMQ_SYS_TRACE_TOPIC
	cloudTracePrefix  = "rmq_sys_TRACE_DATA_" // TraceConstants.TRACE_TOPIC_PREFIX; the region follows

	traceQueue   = 8192            // records that wait; further ones are dropped
	traceFlush   = 2 * time.Second // what a close waits for the last of them
	pendingHalf  = 1 << 16         // halves whose tag and keys are remembered for the record of their end, twice at most
	pendingBytes = 32 << 20        // likewise, in bytes of tags and keys
)

// messageTraces writes the message trace: what the official client would do if it sent the messages. A trace must never hold
// up or fail a row: records go through a bounded queue and over connections of their own, and what the trace topic does not
// take is dropped and counted. A nil messageTraces does nothing.
type messageTraces struct {
	options TraceOptions
	group   string // without the namespace
	client  *Client
	writer  *traceWriter
	queue   chan traceRecord
	closed  chan struct{}
	done    sync.WaitGroup
	closing sync.Once

	mu      sync.Mutex
	halves  map[string]namedHalf // by UNIQ_KEY
	older   map[string]namedHalf
	bytes   int
	regions map[string]string // by address
}

// namedHalf is what the record of a half's end needs and the commit does not carry.
type namedHalf struct{ tag, keys string }

// newMessageTraces returns nil if there is to be no trace.
func newMessageTraces(c *Client, group string) (*messageTraces, error) {
	o := c.options.Trace
	if !o.Enabled {
		return nil, nil //nolint:nilnil // Nil does nothing.
	}
	if o.Topic == "" {
		o.Topic = defaultTraceTopic
	}
	if o.OnRecords == nil {
		o.OnRecords = func(bool, int) {}
	}
	t := &messageTraces{
		options: o, group: c.names.Plain(group), client: c, queue: make(chan traceRecord, traceQueue), closed: make(chan struct{}),
		halves: make(map[string]namedHalf), regions: make(map[string]string),
	}
	var err error
	if t.writer, err = newTraceWriter(c, o.OnRecords); err != nil {
		return nil, err
	}
	t.done.Go(t.run)
	return t, nil
}

// A sending is a message that was sent, and the broker's answer.
type sending struct {
	topic, tag, keys string
	msgID            string // UNIQ_KEY
	bodyLength       int
	kind             traceKind
	address          string
	offsetID         string // the answer's, unless it is given: a batch is answered with those of all
}

// sent records that a message was sent, from the place where its answer comes in. What was not stored leaves no record, and
// neither does what a broker with traceOn=false answers, as with RocketMQ's own clients.
func (t *messageTraces) sent(s sending, r remoting.Reply) {
	if t == nil || r.Err != nil {
		return
	}
	switch r.Response.Code {
	case codeSuccess, codeFlushDiskTimeout, codeSlaveNotAvailable, codeFlushSlaveTimeout:
	default:
		return
	}
	if on, _ := r.Response.Ext("TRACE_ON"); string(on) == "false" {
		return
	}
	region := ext(r.Response, "MSG_REGION")
	if s.offsetID == "" {
		s.offsetID = ext(r.Response, "msgId")
	}
	t.remember(&s, region)
	t.add(traceRecord{
		at: time.Now().Add(-r.Took), took: r.Took, region: region, topic: t.client.names.Plain(s.topic), tag: s.tag, keys: s.keys, msgID: s.msgID,
		address: s.address, offsetID: s.offsetID, bodyLength: s.bodyLength, kind: s.kind, success: r.Response.Code == codeSuccess,
	})
}

func ext(c *remoting.Command, name string) string {
	value, _ := c.Ext(name)
	return string(value)
}

// half records that a half message was sent.
func (t *messageTraces) half(address string, h *relay.Half, r remoting.Reply) {
	if t == nil {
		return
	}
	t.sent(sending{
		topic: h.Topic, tag: h.Tag, keys: h.Keys, msgID: h.UniqKey, bodyLength: len(h.Body), kind: traceHalf, address: address,
	}, r)
}

// plain records that the messages of one request were sent plainly.
func (t *messageTraces) plain(address string, messages []relay.Half, r remoting.Reply) {
	if t == nil || r.Err != nil {
		return
	}
	ids := strings.Split(ext(r.Response, "msgId"), ",") // of a batch one each
	for i := range messages {
		m := &messages[i]
		kind := traceNormal
		switch {
		case m.DelayLevel > 0 || !m.DeliverAt.IsZero():
			kind = traceDelay
		case m.Ordering != "":
			kind = traceOrder
		}
		s := sending{topic: m.Topic, tag: m.Tag, keys: m.Keys, msgID: m.UniqKey, bodyLength: len(m.Body), kind: kind, address: address}
		if i < len(ids) {
			s.offsetID = ids[i]
		}
		t.sent(s, r)
	}
}

// committed records an acknowledged commit.
func (t *messageTraces) committed(address string, h *relay.StoredHalf, a relay.Answer) {
	if t == nil || a.Err != nil || a.Code != codeSuccess {
		return
	}
	named, region, _ := t.recall(address, h.UniqKey)
	t.ended(address, region, h, named, stateCommit)
}

// rolledBack records that a half was rolled back, once: a resolver asks for it again and again.
func (t *messageTraces) rolledBack(address string, h *relay.StoredHalf) {
	if t == nil {
		return
	}
	if named, region, known := t.recall(address, h.UniqKey); known {
		t.ended(address, region, h, named, stateRollback)
	}
}

func (t *messageTraces) ended(address, region string, h *relay.StoredHalf, named namedHalf, state transactionState) {
	t.add(traceRecord{
		at: time.Now(), region: region, topic: t.client.names.Plain(h.Topic), tag: named.tag, keys: named.keys, msgID: h.UniqKey,
		address: address, end: state,
	})
}

// checked records what a broker was answered about a half.
func (t *messageTraces) checked(address, topic, tag, keys, msgID string, state transactionState) {
	if t == nil {
		return
	}
	t.add(traceRecord{
		at: time.Now(), topic: t.client.names.Plain(topic), tag: tag, keys: keys, msgID: msgID, address: address, end: state, fromCheck: true,
	})
}

// remember keeps what the record of the half's end will need.
func (t *messageTraces) remember(s *sending, region string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.regions[s.address] != region {
		t.regions[s.address] = region
	}
	if s.kind != traceHalf {
		return
	}
	t.bytes += len(s.tag) + len(s.keys)
	if len(t.halves) >= pendingHalf || t.bytes > pendingBytes { // those that nobody ended go at the next turn
		t.older, t.halves, t.bytes = t.halves, make(map[string]namedHalf), 0
	}
	t.halves[s.msgID] = namedHalf{s.tag, s.keys}
}

// recall takes back what was remembered.
func (t *messageTraces) recall(address, msgID string) (named namedHalf, region string, known bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, m := range []map[string]namedHalf{t.halves, t.older} {
		if named, known = m[msgID]; known {
			delete(m, msgID)
			break
		}
	}
	return named, t.regions[address], known
}

// add queues a record, or drops it.
func (t *messageTraces) add(r traceRecord) {
	select {
	case <-t.closed:
		t.options.OnRecords(false, 1)
		return
	default:
	}
	select {
	case t.queue <- r:
	default:
		t.options.OnRecords(false, 1)
	}
}

// topicOf returns where a record goes.
func (t *messageTraces) topicOf(r *traceRecord) string {
	switch {
	case !t.options.Cloud:
		return t.options.Topic
	case r.region == "":
		return cloudTracePrefix + defaultRegion
	default:
		return cloudTracePrefix + r.region
	}
}

// run writes what is queued until close, and then the rest.
func (t *messageTraces) run() {
	var g traceGather
	for {
		select {
		case r := <-t.queue:
			t.gather(&g, r)
		case <-g.due():
			t.writer.write(g.take())
		case <-t.closed:
			for len(t.queue) > 0 {
				t.gather(&g, <-t.queue)
			}
			t.writer.write(g.take())
			return
		}
	}
}

func (t *messageTraces) gather(g *traceGather, r traceRecord) {
	for _, full := range g.add(t.topicOf(&r), r.append(nil, t.group), r.msgID, r.keys) {
		t.writer.write([]traceMessage{full})
	}
}

// close writes what is left, for a while.
func (t *messageTraces) close() {
	if t == nil {
		return
	}
	t.closing.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), traceFlush)
		defer cancel()
		close(t.closed)
		t.writer.hurry(ctx)
		t.done.Wait()
		if dropped := t.writer.close(ctx); dropped > 0 {
			t.client.log.Warn("message traces were dropped at the end", slog.Int("records", dropped))
		}
	})
}
