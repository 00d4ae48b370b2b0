package rocketmq

import (
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/outbox-relay/outbox-relay/internal/endpoint"
	"github.com/outbox-relay/outbox-relay/internal/rocketmq/remoting"
	"github.com/outbox-relay/outbox-relay/txcheck"
)

// A checkback is what a broker asks about a half message (CHECK_TRANSACTION_STATE): the half, and where its copy lies that is
// asked about.
type checkback struct {
	address     string
	stateOffset int64
	logOffset   int64
	id          string // transactionId
	half        txcheck.Half
	tag, keys   string
}

// decodeCheckback reads CheckTransactionStateRequestHeader and the half in the body.
func decodeCheckback(address string, r *remoting.Command) (c checkback, err error) {
	c.address = address
	if c.stateOffset, err = r.ExtInt("tranStateTableOffset"); err != nil {
		return c, err
	}
	if c.logOffset, err = r.ExtInt("commitLogOffset"); err != nil {
		return c, err
	}
	m, rest, err := nextStored(r.Body)
	if err != nil {
		return c, err
	}
	if len(rest) > 0 {
		return c, errStored // one half is asked about at a time
	}
	if id, ok := r.Ext("transactionId"); ok {
		c.id = string(id)
	}
	c.half, c.tag, c.keys = checkedHalf(&m), string(m.property("TAGS")), string(m.property("KEYS"))
	if id, ok := r.Ext("msgId"); ok && c.half.UniqKey == "" {
		c.half.UniqKey = string(id)
	}
	return c, nil
}

func checkedHalf(m *storedMessage) txcheck.Half {
	number := func(property string) int {
		n, err := strconv.ParseUint(string(m.property(property)), 10, 31)
		if err != nil {
			return 0
		}
		return int(n)
	}
	return txcheck.Half{
		UniqKey: string(m.property("UNIQ_KEY")),
		Topic:   string(m.topic),
		Group:   string(m.property("PGROUP")),
		Origin:  string(m.property(txcheck.OriginProperty)),
		Born:    m.born,
		Window:  time.Duration(number("CHECK_IMMUNITY_TIME_IN_SECONDS")) * time.Second,
		Checks:  number("TRANSACTION_CHECK_TIMES"),
	}
}

// checkbacks answers what brokers ask about half messages. It is called by one goroutine of a session, so it must be quick.
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

// answer answers one question: Unknown when no question is answered any more.
func (c *checkbacks) answer(q *checkback) (answer txcheck.Answer) {
	c.running.Lock()
	defer c.running.Unlock()
	if c.stopped {
		return txcheck.Unknown
	}
	defer func() { // the checker is the caller's; the next question is to be answered
		if p := recover(); p != nil {
			c.log.Error("answering a check-back panicked", slog.String("uniq_key", q.half.UniqKey), slog.Any("panic", p))
			answer = txcheck.Unknown
		}
	}()
	half := q.half
	half.Topic, half.Group = c.names.Plain(half.Topic), c.names.Plain(half.Group)
	answer = c.check(half)
	c.onCheck(half, answer)
	c.log.Debug("check-back answered", slog.String("answer", answer.String()), slog.String("uniq_key", half.UniqKey),
		slog.String("topic", half.Topic), slog.String("origin", half.Origin), slog.Time("born", half.Born),
		slog.Int("checks", half.Checks))
	traced := map[txcheck.Answer]transactionState{txcheck.Commit: stateCommit, txcheck.Rollback: stateRollback, txcheck.Unknown: stateUnknown}[answer]
	c.traces.checked(q.address, q.half.Topic, q.tag, q.keys, half.UniqKey, traced)
	return answer
}
