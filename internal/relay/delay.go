package relay

import (
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// Delayed messages. The broker keeps one on a queue of its own until its time has come: there it is looked for when the answer
// to its send was lost.

// Where brokers keep delayed messages.
const (
	timerTopic    = "rmq_sys_wheel_timer" // TimerMessageStore.TIMER_TOPIC, queue 0: from RocketMQ 5.0 on
	scheduleTopic = "SCHEDULE_TOPIC_XXXX" // TopicValidator.RMQ_SYS_SCHEDULE_TOPIC, queue level-1: delays by level
)

// Delays is how one broker delays messages.
type Delays struct {
	// Timer says that it goes by milliseconds, rounded up to its timerPrecisionMs (1 s by default). Otherwise it goes by levels.
	Timer bool
	// Most is how far ahead a timer may be: timerMaxDelaySec, 3 days by default.
	Most time.Duration
	// Levels are the delays of levels 1, 2, … (messageDelayLevel), ascending.
	Levels []time.Duration
}

// plan returns how a message that is due in a while is sent: with a level where the broker goes by levels, and where it is kept
// meanwhile. A level is never too short. If it is too early to send it, wait says for how long.
func (d Delays) plan(due time.Duration) (level int, kept TopicQueue, wait time.Duration) {
	if d.Timer {
		return 0, TopicQueue{Topic: timerTopic}, max(0, due-d.Most)
	}
	if due <= 0 {
		return 0, TopicQueue{}, 0
	}
	for i, delay := range d.Levels {
		if due <= delay {
			return i + 1, TopicQueue{Topic: scheduleTopic, Queue: i}, 0
		}
	}
	if len(d.Levels) == 0 {
		return 0, TopicQueue{}, due
	}
	return 0, TopicQueue{}, due - d.Levels[len(d.Levels)-1]
}

// Keeper is the topic on which the broker keeps delayed messages.
func (d Delays) Keeper() string {
	if d.Timer {
		return timerTopic
	}
	return scheduleTopic
}

// keeps reports whether a target is a queue where the broker keeps delayed messages.
func (t Target) keeps() bool { return t.Topic == timerTopic || t.Topic == scheduleTopic }

// kept returns the queues where the broker keeps delayed messages of the attempt until they are due.
func (a *Attempt) kept() (targets []Target) {
	for _, t := range a.Targets {
		if t.keeps() {
			targets = append(targets, t)
		}
	}
	return targets
}

// schedule says of each delayed message how it is sent. Rows that are too early stay in the outbox. False if nothing is left.
func (b *batch) schedule() bool {
	if !slices.ContainsFunc(b.items, func(it *item) bool { return !it.row.DeliverAt.IsZero() }) {
		return true
	}
	delays, err := b.s.broker.Delays(b.ctx(), b.address)
	if err != nil {
		b.s.trouble(b.broker, "", refusal(err), slog.String("error", err.Error()))
		b.giveBack(refusal(err))
		return false
	}
	var failures []Failure
	early := b.keep(func(it *item) bool {
		if it.row.DeliverAt.IsZero() {
			return true
		}
		level, kept, wait := delays.plan(it.row.DeliverAt.Sub(b.born))
		if wait > 0 {
			b.s.pauses.withdraw(b.broker, it.row.Topic)
			failures = append(failures, Failure{
				Row: it.row.ID, Reason: ReasonNotDue, Broker: b.broker, Delay: wait,
				Error: fmt.Sprintf("%s: deliver_at is further ahead than broker %s delays messages; the row stays in the outbox for another %s",
					ReasonNotDue, b.broker, wait.Round(time.Second)),
			})
			return false
		}
		it.half.DelayLevel, it.kept = level, kept
		if delays.Timer {
			it.half.DeliverAt = it.row.DeliverAt
		}
		return true
	})
	b.putOff(early, failures)
	return len(b.items) > 0
}
