package relay

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDelaysPlan(t *testing.T) {
	t.Parallel()
	timer := Delays{Timer: true, Most: time.Hour}
	levels := Delays{Levels: []time.Duration{time.Second, 5 * time.Second, time.Minute}}
	wheel, schedule := TopicQueue{Topic: "rmq_sys_wheel_timer"}, func(q int) TopicQueue { return TopicQueue{"SCHEDULE_TOPIC_XXXX", q} }
	for name, tt := range map[string]struct {
		delays Delays
		due    time.Duration
		level  int
		kept   TopicQueue
		wait   time.Duration
	}{
		"a timer":                     {timer, time.Minute, 0, wheel, 0},
		"a timer as far as it goes":   {timer, time.Hour, 0, wheel, 0},
		"too far for a timer":         {timer, time.Hour + time.Second, 0, wheel, time.Second},
		"over, by our clock":          {timer, -time.Second, 0, wheel, 0}, // the broker's may differ
		"exactly a level":             {levels, 5 * time.Second, 2, schedule(1), 0},
		"between levels, the longer":  {levels, 5*time.Second + 1, 3, schedule(2), 0},
		"the first level":             {levels, time.Millisecond, 1, schedule(0), 0},
		"due, by levels":              {levels, 0, 0, TopicQueue{}, 0},
		"beyond the last level":       {levels, 61 * time.Second, 0, TopicQueue{}, time.Second},
		"a broker without any levels": {Delays{}, time.Second, 0, TopicQueue{}, time.Second},
	} {
		level, kept, wait := tt.delays.plan(tt.due)
		assert.Equal(t, tt.level, level, name)
		assert.Equal(t, tt.wait, wait, name)
		if wait == 0 {
			assert.Equal(t, tt.kept, kept, name)
		}
	}
}

// A message in doubt that the broker keeps until it is due is found where it is kept.
func TestDelayedMessageIsLookedForWhereItIsKept(t *testing.T) {
	t.Parallel()
	for name, where := range map[string]string{"kept": timerTopic, "delivered": "delay", "nowhere": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(t *testing.T, b *bench) {
				row := of("delay", plain(1))
				row.DeliverAt = time.Now().Add(time.Minute)
				made, done := b.sending(t, row)
				b.mq.readBack = func(q TopicQueue, _ int64, found func(string)) (ReadProof, error) {
					if q.Topic == where {
						found(made.items[0].half.UniqKey)
					}
					return ReadProof{Complete: true}, nil
				}
				b.mq.requests()[0].answer(Answer{Err: timeoutError{}, Sent: true})
				<-done
				time.Sleep(b.cfg.Window + b.cfg.AppendMargin + 3*time.Second)
				want := Closing{Attempt: made.attempt.ID, Lenient: true, Settled: []int{0}}
				if where == "" {
					want.Settled, want.Struck = nil, []int{0}
				}
				assert.Equal(t, []Closing{want}, b.db.closings())
			})
		})
	}
}

// Where one of the places cannot be read to its end, nothing is proven.
func TestDelayedMessageIsNotAbsentWhileAPlaceIsUnread(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *bench) {
		row := of("delay", plain(1))
		row.DeliverAt = time.Now().Add(time.Minute)
		_, done := b.sending(t, row)
		var whole atomic.Bool
		b.mq.readBack = func(q TopicQueue, _ int64, _ func(string)) (ReadProof, error) {
			return ReadProof{Complete: whole.Load() || q.Topic != timerTopic, Why: "a gap"}, nil
		}
		b.mq.requests()[0].answer(Answer{Err: timeoutError{}, Sent: true})
		<-done
		time.Sleep(2 * time.Minute)
		require.Empty(t, b.db.closings())
		whole.Store(true)
		time.Sleep(time.Minute)
		assert.Len(t, b.db.closings(), 1)
	})
}

// Without a fence the end of the window and the margin are waited for, before absence is believed; nothing is rolled back.
func TestPlainDoubtWaits(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *bench) {
		_, done := b.sending(t, of("sync", plain(1)))
		began := time.Now()
		b.mq.rollback = func([]StoredHalf) []Answer { panic("there is no half") }
		b.mq.requests()[0].answer(Answer{Err: timeoutError{}, Sent: true})
		<-done
		for len(b.db.closings()) == 0 {
			time.Sleep(10 * time.Millisecond)
		}
		assert.GreaterOrEqual(t, time.Since(began), b.cfg.Window+b.cfg.AppendMargin)
		assert.Equal(t, []int64{1}, b.again(1))
	})
}

// With delivery at_least_once a commit in doubt is given up when its window is over, whoever can be asked.
func TestAtLeastOnceGivesUpAfterTheWindow(t *testing.T) {
	t.Parallel()
	for name, up := range map[string]bool{"the broker answers": true, "the broker is away": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(t *testing.T, b *bench) {
				topic := b.topics["t"]
				topic.Delivery = AtLeastOnce
				b.topics["t"] = topic
				made := b.made(t, plain(1))
				began := time.Now()
				b.mq.address = func(broker string) (string, bool) { return broker, up }
				b.mq.readBack = func(TopicQueue, int64, func(string)) (ReadProof, error) { return ReadProof{}, errors.New("not for us") }
				made.items[0].verdict = CommitInDoubt
				made.settle()
				for len(b.db.closings()) == 0 {
					time.Sleep(10 * time.Millisecond)
				}
				assert.Less(t, time.Since(began), b.cfg.Window+2*time.Second)
				assert.Equal(t, []Closing{{Attempt: made.attempt.ID, Lenient: true, Struck: []int{0}}}, b.db.closings())
			})
		})
	}
}
