package rocketmq

import (
	"fmt"
	"log/slog"
	"slices"

	"github.com/apache/rocketmq-client-go/v2/primitive"

	"github.com/outbox-relay/outbox-relay/internal/rocketmq/remoting"
	"github.com/outbox-relay/outbox-relay/txcheck"
)

// checksWaiting is how many check-backs may wait for their answer. What comes beyond is dropped: the broker asks again.
const checksWaiting = 1024

// checked is one check-back.
type checked struct {
	address     string
	stateOffset int64
	logOffset   int64
	id          string // transactionId
	message     *primitive.MessageExt
}

// request takes what brokers send of their own accord. It is called by the connection's reader.
func (s *ownSession) request(address string, r *remoting.Command) {
	if r.Code != reqCheckTransactionState {
		return
	}
	c, err := decodeCheck(address, r)
	if err != nil {
		s.log.Warn("a check-back cannot be read", slog.String("address", address), slog.String("error", err.Error()))
		return
	}
	select {
	case s.asked <- c:
	default:
		s.log.Debug("too many check-backs wait: the broker will ask again", slog.String("address", address))
	}
}

// decodeCheck reads CheckTransactionStateRequestHeader and the half in the body.
func decodeCheck(address string, r *remoting.Command) (c checked, err error) {
	defer func() { // the official client's decoder trusts the lengths it reads
		if p := recover(); p != nil {
			err = fmt.Errorf("half message of %d bytes: %v", len(r.Body), p)
		}
	}()
	c.address = address
	if c.stateOffset, err = r.ExtInt("tranStateTableOffset"); err != nil {
		return c, err
	}
	if c.logOffset, err = r.ExtInt("commitLogOffset"); err != nil {
		return c, err
	}
	if _, _, err = nextStored(r.Body); err != nil {
		return c, err
	}
	messages := primitive.DecodeMessage(slices.Clone(r.Body))
	if len(messages) != 1 {
		return c, fmt.Errorf("%d messages in it", len(messages))
	}
	c.message = messages[0]
	if id, ok := r.Ext("transactionId"); ok {
		c.id = string(id)
	}
	return c, nil
}

// answer answers check-backs one after the other.
func (s *ownSession) answer() {
	for {
		select {
		case c := <-s.asked:
			s.decide(c)
		case <-s.done.Done():
			return
		}
	}
}

func (s *ownSession) decide(c checked) {
	answer, stopped := s.checks.answer(c.message)
	what := map[txcheck.Answer]int64{txcheck.Commit: transactionCommit, txcheck.Rollback: transactionRollback}[answer]
	if stopped || what == 0 {
		return // the broker does nothing with "unknown" but ask again
	}
	key := c.message.GetProperty(primitive.PropertyUniqueClientMessageIdKeyIndex)
	b := s.brokers.Oneway(1)
	b.Begin(reqEndTransaction)
	b.String("topic", c.message.Topic)
	b.String("producerGroup", s.group)
	b.Int("tranStateTableOffset", c.stateOffset)
	b.Int("commitLogOffset", c.logOffset)
	b.Int("commitOrRollback", what)
	b.Bool("fromTransactionCheck", true)
	b.String("msgId", key)
	b.String("transactionId", c.id)
	if err := b.End(nil); err != nil {
		s.log.Warn("a check-back cannot be answered", slog.String("uniq_key", key), slog.String("error", err.Error()))
		return
	}
	s.brokers.Submit(c.address, b)
	<-b.Finished() // so that the last answer is written before the session is closed
}
