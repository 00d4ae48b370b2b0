package relay

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// answer gives the items of a decided batch their verdicts, in order, the way commit does.
func answer(b *batch, answers ...Answer) {
	b.events = make(chan event, 2*len(b.items))
	for i, it := range b.items {
		b.handle(event{it: it, answered: true, answer: answers[i]}, nil, 1)
	}
}

var (
	answerDone    = Answer{}
	answerRefused = Answer{Code: codeIllegalOperation}
	answerLost    = Answer{Err: errors.New("reset"), Sent: true}
)

// unresolved makes the broker one that does not answer the resolver.
func (b *bench) unresolved() {
	b.mq.address = func(string) (string, bool) { return "", false }
}

func (b *bench) doubts(broker string) []doubt {
	b.resolver.mu.Lock()
	defer b.resolver.mu.Unlock()
	var doubts []doubt
	if d := b.resolver.dockets[broker]; d != nil {
		for _, o := range d.open {
			doubts = append(doubts, *o)
		}
	}
	return doubts
}

func TestSettleOfABatchThatWentThrough(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.intake.advance(100, 100)
	made := b.made(t, ordered(1, "k"), plain(2))
	answer(made, answerDone, answerDone)
	made.settle()
	assert.Equal(t, []Closing{{Attempt: made.attempt.ID, All: true}}, b.db.closings())
	assert.False(t, b.intake.admit(plain(2)), "a read that has begun may still show it")
	assert.Empty(t, b.again(1, 2), "nobody looks for them again")
	assert.Empty(t, b.mq.forgot())
	assert.Empty(t, b.intake.under())
}

func TestSettleOfSomeOfABatch(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.intake.advance(100, 100)
	made := b.made(t, plain(1), plain(2), plain(3))
	answer(made, answerRefused, answerDone, answerRefused)
	made.settle()
	assert.Equal(t, []Closing{{Attempt: made.attempt.ID, Settled: []int{1}, Struck: []int{0, 2}}}, b.db.closings())
	assert.Equal(t, []int64{1, 3}, b.mq.forgot(), "refused ones are rolled back")
	assert.Equal(t, []int64{1, 3}, b.again(1, 3))
}

func TestSettleHandsDoubtsToTheResolver(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.intake.advance(100, 100)
	b.mq.maxOffsets = func(queues []TopicQueue) ([]int64, error) { return []int64{41, 42}[:len(queues)], nil }
	made := b.made(t, of("u", plain(1)), ordered(2, "k"), ordered(3, "k"))
	answer(made, answerDone, answerLost, answerLost)
	made.strike(made.items[2], ReasonPredecessor)
	b.unresolved()
	blocked := make(chan bool, 1)
	b.db.write = func([]Closing, []*Attempt) (Written, error) {
		blocked <- !b.intake.admit(ordered(9, "k"))
		return Written{Closed: make([]Closed, 1)}, nil
	}
	made.settle()
	assert.True(t, <-blocked, "the key is blocked before anything else can happen")
	assert.Equal(t, []Closing{{Attempt: made.attempt.ID, Settled: []int{0}, Struck: []int{2}}}, b.db.closings(), "2 stays open")
	open := b.doubts("b")
	require.Len(t, open, 1)
	open[0].since, open[0].looked = made.built, false
	assert.Equal(t, doubt{
		attempt: made.attempt.ID, position: 1, row: 2, key: Key{"t", "k"}, broker: "b", over: made.built.Add(b.cfg.Window),
		since: made.built, queue: TopicQueue{"t", 0}, readFrom: 42, half: made.items[1].stored,
	}, open[0])
	assert.Equal(t, []int64{3}, b.mq.forgot(), "a half in doubt is not rolled back before the reading")
	assert.Equal(t, []int64{3}, b.again(2, 3))
	assert.False(t, b.intake.admit(ordered(3, "k")), "3 would overtake 2")
	assert.Equal(t, []string{""}, b.paused(), "the broker does not answer")
}

func TestNothingIsWrittenWhereAllIsInDoubt(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	made := b.made(t, plain(1))
	writes := b.db.count("Write")
	answer(made, answerLost)
	b.unresolved()
	made.settle()
	assert.Equal(t, writes, b.db.count("Write"))
	assert.Len(t, b.doubts("b"), 1)
	assert.Equal(t, []int64{1}, b.intake.under(), "the row is not read meanwhile")
}

func TestSettleThatCannotBeWrittenIsCarried(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.intake.advance(100, 100)
	made, whole := b.made(t, plain(1), plain(2), plain(3)), b.made(t, plain(4))
	answer(made, answerDone, answerRefused, answerLost)
	answer(whole, answerDone)
	b.unresolved()
	b.db.write = func([]Closing, []*Attempt) (Written, error) { return Written{}, errPostgres }
	made.settle()
	require.ErrorIs(t, context.Cause(b.work), errPostgres)
	whole.settle()
	assert.Equal(t, []Closing{
		{Attempt: made.attempt.ID, Settled: []int{0}, Struck: []int{1}},
		{Attempt: whole.attempt.ID, All: true},
	}, b.carriedNow())
	assert.Empty(t, b.again(1, 2, 3, 4), "whether it is written is unknown: nothing is sent again by this session")
	assert.Empty(t, b.mq.forgot())
}

func TestCommitAnswersThatPauseABroker(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		answer Answer
		reason Reason
		slow   time.Duration // how long ago the halves were built
	}{
		"busy":        {Answer{Code: codeBusy}, ReasonBusy, 0},
		"unreachable": {Answer{Err: errors.New("refused")}, ReasonUnreachable, 0},
		"lost":        {answerLost, ReasonLost, 0},
		"late":        {Answer{Took: DefaultConfig().CommitTimeout + 1}, ReasonLate, 0},
		"done":        {answerDone, "", 0},
		"window over": {answerRefused, "", DefaultConfig().Window}, // the broker is fine, this relay was slow
		"clocks":      {answerRefused, ReasonWindowOver, 0},        // sent in time, and late by the broker's clock
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			made := b.made(t, plain(1))
			made.built = made.built.Add(-tt.slow)
			b.clocks.note("b", "b:10911", time.Time{}, time.Now(), 0, errPostgres) // the clock cannot be read
			answer(made, tt.answer)
			b.unresolved()
			made.settle()
			if tt.reason == "" {
				assert.Empty(t, b.paused())
				return
			}
			assert.Equal(t, []string{""}, b.paused())
			assert.Equal(t, tt.reason, b.pauses.paused[pauseKey{"b", ""}].reason)
			assert.Len(t, b.logs.with("paused broker=b topic= reason="+string(tt.reason)), 1)
		})
	}
}

func TestPointsOfTheFlowComeInOrder(t *testing.T) {
	t.Parallel()
	var points []Point
	b := newBench(t, func(c *Config) { c.At = func(p Point) { points = append(points, p) } })
	b.mq.halves = func([]Half) []HalfAnswer { return []HalfAnswer{storedAt(1, codeOK)} }
	go func() { (<-b.mq.commits).answer(answerDone) }()
	b.taken(plain(1)).run()
	assert.Equal(t, []Point{PointHalf, PointDecide, PointCommitFirst, PointCommit, PointSettling, PointSettle}, points)
	assert.Equal(t, []string{"Write", "Write"}, b.db.called())
}
