package relay

import (
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// What happens to rows that did not get through: put off, or dead.

// putOff writes to the rows what happened and when to try again. Their keys wait for them.
func (b *batch) putOff(items []*item, failures []Failure) {
	if len(items) == 0 {
		return
	}
	halves := make([]StoredHalf, 0, len(items))
	for i, it := range items {
		b.s.intake.hold(&it.row, false)
		b.s.metrics.PutOff(b.ctx(), failures[i].Reason)
		b.sayPutOff(it, failures[i])
		b.s.traces.end(it, failures[i].Reason, time.Now())
		if it.stored.UniqKey != "" {
			halves = append(halves, it.stored)
		}
	}
	if len(halves) > 0 {
		b.s.broker.Forget(b.address, halves)
	}
	if err := b.s.store.PutOff(b.ctx(), b.s.id, failures); err != nil {
		b.s.end(fmt.Errorf("put off %d rows: %w", len(failures), err))
		return
	}
	b.s.intake.off(items...)
}

// sayPutOff says that rows of a topic are put off, once for all of them for a while: each row says it in last_error.
func (b *batch) sayPutOff(it *item, f Failure) {
	if b.s.pauses.tell(b.broker, it.row.Topic, f.Reason) {
		b.s.log.Warn("rows are put off", slog.Int64("row", it.row.ID), slog.String("topic", it.row.Topic), slog.String("broker", b.broker),
			slog.String("reason", string(f.Reason)), slog.String("error", f.Error))
	}
}

// bury moves rows to the dead letters.
func (b *batch) bury(items []*item, failures []Failure) {
	if len(items) == 0 {
		return
	}
	for i, it := range items {
		b.s.intake.breakLane(it)
		if b.blocks(it) {
			b.s.intake.hold(&it.row, true)
		}
		b.s.metrics.Dead(b.ctx(), failures[i].Reason)
		b.s.traces.end(it, failures[i].Reason, time.Now())
		b.s.pauses.withdraw(b.broker, it.row.Topic)
		b.s.log.Error("row is dead", slog.Int64("row", it.row.ID), slog.String("topic", it.row.Topic),
			slog.String("reason", string(failures[i].Reason)), slog.String("status", failures[i].Status), slog.String("error", failures[i].Error))
	}
	if err := b.s.store.Bury(b.ctx(), b.s.id, failures); err != nil {
		b.s.end(fmt.Errorf("move %d rows to the dead letters: %w", len(failures), err))
		return
	}
	for _, it := range items {
		if b.blocks(it) {
			b.s.intake.off(it)
		} else {
			b.s.intake.gone(it)
		}
	}
}

// blocks reports whether a row blocks its key when it is dead.
func (b *batch) blocks(it *item) bool { return b.s.topics[it.row.Topic].OnDead == OnDeadBlock }

// trouble pauses a topic on a broker, or with topic "" the whole broker, and says so once. It returns the wait.
func (s *session) trouble(broker, topic string, reason Reason, detail slog.Attr) time.Duration {
	if s.work.Err() != nil {
		return 0 // it was this session that stopped waiting for an answer
	}
	wait, news := s.pauses.add(broker, topic, reason)
	if news {
		s.metrics.Paused(broker, topic, reason, true)
		s.log.Warn("paused", slog.String("broker", broker), slog.String("topic", topic), slog.String("reason", string(reason)),
			slog.Bool("alert", needsPeople(reason)), detail)
	}
	return wait
}

// forgetPauses takes back what the gauges say: the next session finds out for itself.
func (s *session) forgetPauses() {
	for _, key := range s.pauses.keys() {
		s.metrics.Paused(key.broker, key.topic, "", false)
	}
}

// needsPeople reports whether a pause for this reason ends only when somebody does something.
func needsPeople(r Reason) bool {
	switch r {
	case ReasonSlaveNotAvailable, ReasonNotInSync, ReasonServiceUnavailable, ReasonNoPermission, ReasonTopicMissing, ReasonBrokerRefused,
		ReasonWindowOver: // the broker's clock cannot be read, or jumps: a difference alone is made up for
		return true
	default:
		return false
	}
}

// resume ends the pauses of a topic on a broker, because the broker has stored a row of it.
func (s *session) resume(broker, topic string) {
	for _, t := range []string{topic, ""} {
		if s.pauses.clear(broker, t) {
			s.metrics.Paused(broker, t, "", false)
			s.log.Info("resumed", slog.String("broker", broker), slog.String("topic", t))
		}
	}
}

// committed notes how a batch to a broker has ended: with a confirmed commit the broker's clock is no trouble.
func (s *session) committed(broker string, confirmed bool) {
	if confirmed {
		s.clocks.accepted(broker)
	}
	if s.pauses.committed(broker, confirmed) {
		s.metrics.Paused(broker, "", "", false)
		s.log.Info("resumed", slog.String("broker", broker), slog.String("topic", ""))
	}
}

// describe says what came back, for people: cut short, and fit for a text column.
func (a Answer) describe() string {
	const most = 500
	text := fmt.Sprintf("code %d: %s", a.Code, a.Remark)
	if a.Err != nil {
		text = a.Err.Error()
	}
	if len(text) > most {
		text = text[:most]
	}
	return strings.ReplaceAll(strings.ToValidUTF8(text, "?"), "\x00", "")
}
