package relay

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// plainTopics gives a bench a topic of every type that is sent plainly.
func plainTopics(c *Config) {
	c.SendMessages = 3
	for _, topic := range []Topic{
		{Name: "sync", Type: TypeNormal, Mode: ModeSync},
		{Name: "async", Type: TypeNormal, Mode: ModeAsync},
		{Name: "oneway", Type: TypeNormal, Mode: ModeOneway},
		{Name: "fifo", Type: TypeFIFO},
		{Name: "delay", Type: TypeDelay},
	} {
		topic.Delivery, topic.OnDead, topic.Queues = AtLeastOnce, OnDeadBlock, []Queue{{Broker: "b"}}
		c.Topics = append(c.Topics, topic)
	}
}

// sending is a batch that is being sent; it is settled when done is closed.
func (b *bench) sending(t *testing.T, rows ...*Row) (made *batch, done <-chan struct{}) {
	t.Helper()
	made = b.taken(rows...)
	made.taken = len(rows)
	b.throttle.add("b", len(rows))
	require.True(t, made.prepare())
	require.True(t, made.decide())
	over := make(chan struct{})
	go func() {
		defer close(over)
		made.sendPlain()
		made.settle()
	}()
	return made, over
}

// requests takes the requests that have been sent by now, in a bubble.
func (f *fakeBroker) requests() []sentRequest {
	synctest.Wait()
	var sent []sentRequest
	for len(f.sends) > 0 {
		sent = append(sent, <-f.sends)
	}
	return sent
}

// of lists the rows of a request by their UNIQ_KEYs' positions.
func rowsIn(b *batch, r sentRequest) (rows []int64) {
	for _, m := range r.messages {
		for _, it := range b.items {
			if it.half.UniqKey == m.UniqKey {
				rows = append(rows, it.row.ID)
			}
		}
	}
	return rows
}

func inBubble(t *testing.T, test func(t *testing.T, b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, plainTopics)
		defer b.stop()
		test(t, b)
	})
}

func TestRequestsOfATopicInTurnGoOneAfterTheOther(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *bench) {
		made, done := b.sending(t, of("sync", plain(1)), of("sync", plain(2)), of("sync", plain(3)), of("sync", plain(4)))
		first := b.mq.requests()
		require.Len(t, first, 1, "three go as one, the fourth waits")
		assert.Equal(t, []int64{1, 2, 3}, rowsIn(made, first[0]))
		first[0].answer(Answer{})
		second := b.mq.requests()
		require.Len(t, second, 1)
		assert.Equal(t, []int64{4}, rowsIn(made, second[0]))
		second[0].answer(Answer{})
		<-done
		assert.True(t, b.db.closings()[0].All)
		assert.True(t, b.db.closings()[0].Lenient)
		assert.Zero(t, b.throttle.of("b").under)
	})
}

func TestRequestsOfAnAsyncTopicGoAtOnce(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *bench) {
		_, done := b.sending(t, of("async", plain(1)), of("async", plain(2)), of("async", plain(3)), of("async", plain(4)))
		sent := b.mq.requests()
		require.Len(t, sent, 2)
		for _, r := range sent {
			assert.False(t, r.oneway)
			r.answer(Answer{})
		}
		<-done
	})
}

func TestDelayedMessagesGoAlone(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *bench) {
		later := func(id int64) *Row {
			row := of("delay", plain(id))
			row.DeliverAt = time.Now().Add(time.Hour)
			return row
		}
		made, done := b.sending(t, later(1), later(2))
		sent := b.mq.requests()
		require.Len(t, sent, 2)
		for _, r := range sent {
			require.Len(t, r.messages, 1)
			assert.Equal(t, time.Now().Add(time.Hour), r.messages[0].DeliverAt)
			r.answer(Answer{})
		}
		<-done
		assert.Equal(t, []Target{{Topic: "delay"}, {Topic: timerTopic}}, made.attempt.Targets)
	})
}

func TestOnewayAsksForNothing(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *bench) {
		made, done := b.sending(t, of("oneway", plain(1)))
		sent := b.mq.requests()
		require.Len(t, sent, 1)
		assert.True(t, sent[0].oneway)
		assert.Equal(t, WayOneway, made.attempt.Way)
		sent[0].answer(Answer{})
		<-done
		assert.True(t, b.db.closings()[0].All)
	})
}

// What an answer means for a message that is not a half.
func TestAnswersToSends(t *testing.T) {
	t.Parallel()
	lost := errors.New("connection reset")
	for name, tt := range map[string]struct {
		answer                     Answer
		settled, struck, off, dead int
		doubts                     int
	}{
		"stored":                   {answer: Answer{}, settled: 1},
		"perhaps not on disk":      {answer: Answer{Code: 10}, struck: 1, off: 1},
		"perhaps not on the slave": {answer: Answer{Code: 12}, struck: 1, off: 1},
		"no slave":                 {answer: Answer{Code: 11}, struck: 1, off: 1},
		"not in sync":              {answer: Answer{Code: 1, Remark: "the in-sync replicas not enough"}, struck: 1, off: 1},
		"busy":                     {answer: Answer{Code: 2}, struck: 1},
		"flow control":             {answer: Answer{Code: 215}, struck: 1},
		"no permission":            {answer: Answer{Code: 16}, struck: 1},
		"no topic":                 {answer: Answer{Code: 17}, struck: 1},
		"illegal":                  {answer: Answer{Code: 13}, struck: 1, dead: 1},
		"too large":                {answer: Answer{Code: 1, Remark: "java.lang.RuntimeException: message body size exceeded"}, struck: 1, dead: 1},
		"timers are flooded":       {answer: Answer{Code: 1, Remark: "timer message is under flow control"}, struck: 1, off: 1},
		"unknown error":            {answer: Answer{Code: 1, Remark: "UNKNOWN_ERROR"}, doubts: 1},
		"unlisted":                 {answer: Answer{Code: 4711}, doubts: 1},
		"timeout":                  {answer: Answer{Err: timeoutError{}, Sent: true}, doubts: 1},
		"lost":                     {answer: Answer{Err: lost, Sent: true}, doubts: 1},
		"never sent":               {answer: Answer{Err: lost}, struck: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(t *testing.T, b *bench) {
				_, done := b.sending(t, of("sync", plain(1)))
				b.mq.requests()[0].answer(tt.answer)
				<-done
				settled, struck := 0, 0
				for _, c := range b.db.closings() {
					struck += len(c.Struck)
					settled += len(c.Settled)
					if c.All {
						settled++
					}
				}
				assert.Equal(t, tt.settled, settled, "settled")
				assert.Equal(t, tt.struck, struck, "struck")
				assert.Len(t, b.db.off, tt.off, "put off")
				assert.Len(t, b.db.dead, tt.dead, "dead")
				assert.Len(t, b.resolver.ages(), tt.doubts, "in doubt")
			})
		})
	}
}

// A batch that is refused is sent again in parts, under the same ids: nothing of it is stored.
func TestRefusedBatchIsSentInParts(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *bench) {
		made, done := b.sending(t, of("fifo", ordered(1, "k")), of("fifo", ordered(2, "k")), of("fifo", ordered(3, "k")))
		whole := b.mq.requests()
		require.Len(t, whole, 1)
		whole[0].answer(Answer{Code: 13})
		first := b.mq.requests()
		require.Len(t, first, 1, "of a key one after the other")
		assert.Equal(t, []int64{1}, rowsIn(made, first[0]))
		first[0].answer(Answer{})
		second := b.mq.requests()
		assert.Equal(t, []int64{2}, rowsIn(made, second[0]))
		second[0].answer(Answer{Code: 13})
		<-done
		assert.Equal(t, []Closing{{Attempt: made.attempt.ID, Lenient: true, Settled: []int{0}, Struck: []int{1, 2}}}, b.db.closings())
		require.Len(t, b.db.dead, 1)
		assert.Equal(t, int64(2), b.db.dead[0].Row)
		assert.Equal(t, []int64{3}, b.again(3))
		assert.False(t, b.intake.admit(of("fifo", ordered(3, "k"))), "it waits behind the dead row")
	})
}

// Once a row of a key did not get through, those behind it are not sent, and those of other keys are.
func TestKeyStopsAtTheFirstThatIsInDoubt(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *bench) {
		made, done := b.sending(t, of("fifo", ordered(1, "k")), of("fifo", ordered(2, "k")), of("fifo", ordered(3, "k")),
			of("fifo", ordered(4, "k")), of("fifo", ordered(5, "other")))
		b.mq.requests()[0].answer(Answer{Err: timeoutError{}, Sent: true})
		rest := b.mq.requests()
		require.Len(t, rest, 1)
		assert.Equal(t, []int64{5}, rowsIn(made, rest[0]))
		rest[0].answer(Answer{})
		<-done
		assert.Equal(t, []Closing{{Attempt: made.attempt.ID, Lenient: true, Settled: []int{4}, Struck: []int{3}}}, b.db.closings())
		assert.Len(t, b.resolver.ages(), 3)
	})
}

// A batch waits for the answers to the one that holds earlier rows of its keys.
func TestBatchWaitsForEarlierRowsOfItsKeys(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *bench) {
		_, done := b.sending(t, of("fifo", ordered(1, "k")))
		first := b.mq.requests()
		second, doneToo := b.sending(t, of("fifo", ordered(2, "k")))
		assert.Empty(t, b.mq.requests(), "not before the first is answered")
		first[0].answer(Answer{})
		<-done
		sent := b.mq.requests()
		require.Len(t, sent, 1)
		assert.Equal(t, []int64{2}, rowsIn(second, sent[0]))
		sent[0].answer(Answer{})
		<-doneToo
	})
}

// Nothing is sent that the next owner of the row would not wait for.
func TestNothingIsSentWhenTheWindowIsOver(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *bench) {
		made := b.taken(of("async", plain(1)))
		made.taken = 1
		require.True(t, made.prepare())
		require.True(t, made.decide())
		time.Sleep(b.cfg.Window)
		made.sendPlain()
		made.settle()
		assert.Empty(t, b.mq.requests())
		assert.Equal(t, []Closing{{Attempt: made.attempt.ID, Lenient: true, Settled: []int{}, Struck: []int{0}}}, b.db.closings())
		assert.Equal(t, []int64{1}, b.again(1))
	})
}

// A session that is over sends nothing more, and takes along what it knows.
func TestSessionOverWhileSending(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *bench) {
		made, done := b.sending(t, of("sync", plain(1)), of("sync", plain(2)), of("sync", plain(3)), of("sync", plain(4)))
		sent := b.mq.requests()
		b.end(errPostgres)
		sent[0].answer(Answer{})
		<-done
		assert.Empty(t, b.mq.requests())
		assert.Equal(t, []Closing{{Attempt: made.attempt.ID, Lenient: true, Settled: []int{0, 1, 2}, Struck: []int{3}}}, b.carriedNow())
	})
}
