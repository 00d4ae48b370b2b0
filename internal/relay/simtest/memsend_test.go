package simtest

import (
	"time"

	"github.com/outbox-relay/outbox-relay/internal/relay"
)

// Plain messages at a broker in memory.

// mostDelay is how far ahead a broker with timers delays messages.
const mostDelay = 4 * time.Second

// someDelays draws how a broker delays messages.
func someDelays(w *world) relay.Delays {
	if w.chance.hit(0.5) {
		return relay.Delays{Timer: true, Most: mostDelay}
	}
	return relay.Delays{Levels: []time.Duration{time.Second, mostDelay}}
}

// send stores the messages of one request, all or none. False if there will be no answer.
func (b *memBroker) send(messages []relay.Half) (relay.Answer, bool) {
	code, remark, stores := b.sendCode(messages)
	if !stores {
		return relay.Answer{Code: code, Remark: remark}, true
	}
	if b.w.chance.fault(0.02) {
		time.Sleep(b.w.chance.between(0, appendMargin-100*time.Millisecond))
	}
	if b.down() && b.w.chance.hit(0.5) {
		return relay.Answer{}, false // lost with the crash
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range messages {
		b.append(&messages[i])
	}
	return relay.Answer{Code: code, Remark: remark}, true
}

// sendCode draws the answer to a request, and whether its messages are stored.
func (b *memBroker) sendCode(messages []relay.Half) (code int, remark string, stores bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range messages {
		if code, remark = b.halfCode(rowOf(messages[i])); code != 0 {
			break
		}
	}
	switch code {
	case 0:
		return code, remark, !b.rules.losesSent || !b.w.chance.hit(0.02)
	case 10, 11, 12:
		return code, remark, true
	case 1, 208:
		if remark != "the in-sync replicas are not enough" { // nobody knows
			return code, remark, b.w.chance.hit(0.5)
		}
	}
	return code, remark, false
}

// append stores one message: on its queue, or where it is kept until it is due. It is called with the lock held.
func (b *memBroker) append(h *relay.Half) {
	q := relay.TopicQueue{Topic: h.Topic, Queue: h.Queue}
	switch {
	case h.DelayLevel > 0:
		q = relay.TopicQueue{Topic: "SCHEDULE_TOPIC_XXXX", Queue: h.DelayLevel - 1}
	case h.DeliverAt.After(b.now()):
		q = relay.TopicQueue{Topic: "rmq_sys_wheel_timer"}
	}
	b.queues[q] = append(b.queues[q], storedMessage{uniqKey: h.UniqKey, passed: b.dispatchLater(), indexed: !b.w.chance.fault(0.3)})
	b.w.audit.appended(rowOf(*h), h.UniqKey, b.name, h.Queue)
}
