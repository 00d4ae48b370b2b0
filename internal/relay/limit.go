package relay

import (
	"fmt"
	"log/slog"
	"sync"

	"github.com/outbox-relay/outbox-relay/outbox"
)

// limits is what the relay knows of sizes beside the profile.
type limits struct {
	mu    sync.Mutex
	large map[string]bool // topics that were warned about
}

// rules are those that the library holds messages to.
func (r *Relay) rules(topic string) outbox.Rules {
	return outbox.Rules{Profile: r.cfg.Profile, Type: outbox.TopicType(r.topics[topic].Type)}
}

// tooLarge is the failure of a row whose payload was cut when it was read, or should not be looked at; nil if it may be.
func (r *Relay) tooLarge(row *Row) *Failure {
	rules := r.rules(row.Topic)
	limits, err := rules.Profile.Limits()
	if err != nil {
		return &Failure{Row: row.ID, Reason: ReasonBodyTooLarge, Error: err.Error()}
	}
	most := limits.PayloadOf(rules.Type).Value
	if row.Size <= most {
		return nil
	}
	return &Failure{
		Row: row.ID, Reason: ReasonBodyTooLarge,
		Error: fmt.Sprintf("payload of %d bytes must be at most %d bytes on topics of type %s (limits of %s)", row.Size, most, rules.Type, limits.Profile),
	}
}

// message turns a row into a half message as this batch's broker takes it.
func (b *batch) message(row *Row) (Half, *Failure) {
	half, failure := b.s.message(row)
	if failure != nil {
		return Half{}, failure
	}
	var err error
	if half.Body, half.Compressed, err = b.s.cfg.Compression.body(row.Payload); err != nil {
		half.Body = row.Payload // it is only larger
		b.s.log.Error("body not compressed", slog.Int64("row", row.ID), slog.String("error", err.Error()))
	}
	if most := b.s.maxBody(b.broker); most > 0 && len(half.Body) > most {
		return Half{}, &Failure{
			Row: row.ID, Reason: ReasonBodyTooLarge, Broker: b.broker,
			Error: fmt.Sprintf("body of %d bytes must be at most %d bytes (maxMessageSize of broker %s)", len(half.Body), most, b.broker),
		}
	}
	b.s.adviseSize(row)
	return half, nil
}

// adviseSize counts a payload that is larger than RocketMQ advises, and says so once for each topic.
func (r *Relay) adviseSize(row *Row) {
	if row.Size <= outbox.AdvisedPayloadBytes {
		return
	}
	r.metrics.Large(row.Topic)
	r.limits.mu.Lock()
	said := r.limits.large[row.Topic]
	if r.limits.large == nil {
		r.limits.large = make(map[string]bool)
	}
	r.limits.large[row.Topic] = true
	r.limits.mu.Unlock()
	if !said {
		r.log.Warn("payload is larger than RocketMQ advises; said once for each topic", slog.String("topic", row.Topic), slog.Int64("row", row.ID),
			slog.Int64("bytes", row.Size), slog.Int("advised", outbox.AdvisedPayloadBytes))
	}
}
