package rocketmq

import (
	"log/slog"

	"github.com/outbox-relay/outbox-relay/internal/rocketmq/remoting"
	"github.com/outbox-relay/outbox-relay/txcheck"
)

const (
	// checksWaiting is how many check-backs may wait for their answer. What comes beyond is dropped: the broker asks again. A broker
	// that was killed asks about everything of its last seconds, as fast as it can.
	checksWaiting = 4096
	// checksTogether is how many answers go out in one write.
	checksTogether = 256
)

// request takes what brokers send of their own accord. It is called by the connection's reader.
func (s *session) request(address string, r *remoting.Command) {
	if r.Code != reqCheckTransactionState {
		return
	}
	q, err := decodeCheckback(address, r)
	if err != nil {
		s.log.Warn("a check-back cannot be read", slog.String("address", address), slog.String("error", err.Error()))
		return
	}
	select {
	case s.asked <- q:
	default:
		s.log.Debug("too many check-backs wait: the broker will ask again", slog.String("address", address))
	}
}

// answer answers what brokers ask, with all the answers that are ready in one write.
func (s *session) answer() {
	var questions []checkback
	for {
		select {
		case q := <-s.asked:
			questions = append(questions[:0], q)
		case <-s.done.Done():
			return
		}
		for len(s.asked) > 0 && len(questions) < checksTogether {
			questions = append(questions, <-s.asked)
		}
		s.decide(questions)
	}
}

// decide returns when the answers were written, so that the last ones are before the session is closed.
func (s *session) decide(questions []checkback) {
	answers := make(map[string]*remoting.Batch, 1) // by address
	for i := range questions {
		q := &questions[i]
		what := int64(0)
		switch s.checks.answer(q) {
		case txcheck.Commit:
			what = transactionCommit
		case txcheck.Rollback:
			what = transactionRollback
		case txcheck.Unknown:
			continue // the broker does nothing with it but ask again
		}
		b := answers[q.address]
		if b == nil {
			b = s.brokers.Oneway(len(questions))
			answers[q.address] = b
		}
		if err := s.addAnswer(b, q, what); err != nil {
			s.log.Warn("a check-back cannot be answered", slog.String("uniq_key", q.half.UniqKey), slog.String("error", err.Error()))
		}
	}
	for address, b := range answers {
		s.brokers.Submit(address, b)
		<-b.Finished()
	}
}

// addAnswer adds END_TRANSACTION of the copy that was asked about. No fence holds for it.
func (s *session) addAnswer(b *remoting.Batch, q *checkback, what int64) error {
	b.Begin(reqEndTransaction)
	b.String("topic", q.half.Topic)
	b.String("producerGroup", s.group)
	b.Int("tranStateTableOffset", q.stateOffset)
	b.Int("commitLogOffset", q.logOffset)
	b.Int("commitOrRollback", what)
	b.Bool("fromTransactionCheck", true)
	b.String("msgId", q.half.UniqKey)
	b.String("transactionId", q.id)
	return b.End(nil)
}
