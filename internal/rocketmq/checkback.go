package rocketmq

import (
	"log/slog"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/apache/rocketmq-client-go/v2/primitive"

	"github.com/outbox-relay/outbox-relay/internal/endpoint"
	"github.com/outbox-relay/outbox-relay/txcheck"
)

// checkbacks answers what brokers ask about half messages. It is called by one goroutine of a session, so it must be quick:
// questions pile up behind it, with the official client without bound.
type checkbacks struct {
	log     *slog.Logger
	check   func(txcheck.Half) txcheck.Answer
	onCheck func(txcheck.Half, txcheck.Answer)
	names   endpoint.Names
	traces  *messageTraces

	running sync.Mutex // held while a question is answered
	stopped bool
}

// stop returns when no question is being answered and none will be any more.
func (c *checkbacks) stop() {
	c.running.Lock()
	defer c.running.Unlock()
	c.stopped = true
}

// answer answers one question; stopped says that no question is answered any more.
func (c *checkbacks) answer(m *primitive.MessageExt) (answer txcheck.Answer, stopped bool) {
	c.running.Lock()
	defer c.running.Unlock()
	if c.stopped {
		return txcheck.Unknown, true
	}
	// A panic would end the official client's check loop for ever, and silently.
	defer func() {
		if p := recover(); p != nil {
			c.log.Error("answering a check-back panicked", slog.String("uniq_key", m.MsgId), slog.Any("panic", p))
			answer = txcheck.Unknown
		}
	}()
	half := checkedHalf(m)
	half.Topic, half.Group = c.names.Plain(half.Topic), c.names.Plain(half.Group)
	answer = c.check(half)
	c.onCheck(half, answer)
	c.log.Debug("check-back answered", slog.String("answer", answer.String()), slog.String("uniq_key", half.UniqKey),
		slog.String("topic", half.Topic), slog.String("origin", half.Origin), slog.Time("born", half.Born),
		slog.Int("checks", half.Checks))
	traced := map[txcheck.Answer]transactionState{txcheck.Commit: stateCommit, txcheck.Rollback: stateRollback, txcheck.Unknown: stateUnknown}[answer]
	c.traces.checked(m.StoreHost, m.Topic, m.GetTags(), m.GetKeys(), half.UniqKey, traced)
	return answer, false
}

// CheckLocalTransaction implements primitive.TransactionListener.
func (c *checkbacks) CheckLocalTransaction(m *primitive.MessageExt) primitive.LocalTransactionState {
	answer, stopped := c.answer(m)
	if stopped {
		// Ends the loop of the official client, which nothing else does and which would send the answer through a client that
		// is being shut down.
		runtime.Goexit()
	}
	switch answer {
	case txcheck.Commit:
		return primitive.CommitMessageState
	case txcheck.Rollback:
		return primitive.RollbackMessageState
	default:
		return primitive.UnkonwnState
	}
}

// ExecuteLocalTransaction implements primitive.TransactionListener. The session sends nothing, so it is never called.
func (c *checkbacks) ExecuteLocalTransaction(*primitive.Message) primitive.LocalTransactionState {
	return primitive.RollbackMessageState
}

func checkedHalf(m *primitive.MessageExt) txcheck.Half {
	number := func(property string) int {
		n, err := strconv.ParseUint(m.GetProperty(property), 10, 31)
		if err != nil {
			return 0
		}
		return int(n)
	}
	return txcheck.Half{
		UniqKey: m.GetProperty(primitive.PropertyUniqueClientMessageIdKeyIndex),
		Topic:   m.Topic,
		Group:   m.GetProperty(primitive.PropertyProducerGroup),
		Origin:  m.GetProperty(txcheck.OriginProperty),
		Born:    time.UnixMilli(m.BornTimestamp),
		Window:  time.Duration(number(primitive.PropertyCheckImmunityTimeInSeconds)) * time.Second,
		Checks:  number(primitive.PropertyTranscationCheckTimes),
	}
}
