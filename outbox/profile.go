package outbox

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Profile names the limits of one kind of RocketMQ.
type Profile string

// The profiles.
const (
	Apache49  Profile = "apache-4.9"
	Apache5   Profile = "apache-5" // the default
	ApsaraMQ4 Profile = "apsaramq-4"
	ApsaraMQ5 Profile = "apsaramq-5"
)

// Profiles lists them.
func Profiles() []Profile { return []Profile{Apache49, Apache5, ApsaraMQ4, ApsaraMQ5} }

// A TopicType is what a topic is for. Some limits depend on it.
type TopicType string

// The types.
const (
	AnyTopic         TopicType = "" // not known here: the laxest limit of all types holds
	TransactionTopic TopicType = "transaction"
	NormalTopic      TopicType = "normal"
	FIFOTopic        TopicType = "fifo"
	DelayTopic       TopicType = "delay"
)

// Rules say by which limits messages are checked. The zero Rules are those of profile apache-5, for a topic of any type.
type Rules struct {
	Profile Profile   // "" = apache-5
	Type    TopicType // of the topics written to, if they are all of one
}

// Validate is [Validate] by these rules. An unknown profile is an error of its own.
func (r Rules) Validate(messages ...Message) error {
	limits, err := r.Profile.Limits()
	if err != nil {
		return err
	}
	var faults []Fault
	for i := range messages {
		c := checker{message: i, m: &messages[i], limits: limits, kind: r.Type}
		c.check()
		faults = append(faults, c.faults...)
	}
	if len(faults) > 0 {
		return &InvalidError{Faults: faults}
	}
	return nil
}

// A Limit is one number, and where it is taken from.
type Limit struct {
	Value  int64 // 0 = none
	Source string
}

// Limits are the numbers of one profile; docs/limits.md shows them side by side. Sizes are in bytes.
type Limits struct {
	Profile          Profile
	Topic            Limit // length of a topic's name
	TopicLetters     Limit // 1 = letters, digits, _ and - only; 0 = also % and |
	Group            Limit // length of the producer group's name
	Payload          Limit // of the payload on topics of type normal and fifo
	PayloadTransact  Limit // ... transaction
	PayloadDelay     Limit // ... delay
	PayloadAdvice    Limit // a payload above it is sent, with a warning
	Properties       Limit // names and values of all properties, those of the relay and the separators included
	HeaderProperties Limit // names and values of the user properties alone: headers, and three of the relay's
	OrderingKey      Limit
	DelaySeconds     Limit // from sending to deliver_at; a row that is further ahead stays in the outbox until it is not
}

// Where the numbers are from.
const (
	fromValidator  = "TopicValidator, RocketMQ 5.3.3"
	fromLimitsPage = "rocketmq.apache.org/docs/introduction/03limits"
	fromApsara4    = "ApsaraMQ for RocketMQ 4.x, Limits"
	fromApsara5    = "ApsaraMQ for RocketMQ 5.x, Quotas and limits"
	fromStore      = "MessageStoreConfig.maxMessageSize; measured on 5.3.3: 4,194,304 pass, one more is answered 13"
	fromEncoder    = "MessageExtEncoder refuses over 32,767; 767 less, because the broker adds to a half message each time it asks about it"
	fromAdvice     = "RocketMQ, best practice for producers"
	fromEverywhere = "MessageGroup, " + fromLimitsPage + "; ProxyConfig.maxMessageGroupSize"
)

// Limits returns the numbers of a profile, those of apache-5 for "".
func (p Profile) Limits() (Limits, error) {
	l := Limits{
		Profile:         Apache5,
		Topic:           Limit{MaxTopicBytes, fromValidator},
		Group:           Limit{maxGroupBytes, fromValidator},
		Payload:         Limit{MaxPayloadBytes, fromStore},
		PayloadTransact: Limit{MaxPayloadBytes, fromStore},
		PayloadDelay:    Limit{MaxPayloadBytes, fromStore},
		PayloadAdvice:   Limit{AdvisedPayloadBytes, fromAdvice},
		Properties:      Limit{MaxPropertyBytes, fromEncoder},
		OrderingKey:     Limit{MaxOrderingKeyBytes, fromEverywhere},
		DelaySeconds:    Limit{seconds(3 * 24 * time.Hour), "MessageStoreConfig.timerMaxDelaySec, RocketMQ 5.3.3"},
	}
	switch p {
	case "", Apache5:
	case Apache49:
		l.Profile = p
		l.Topic.Source = "Validators.TOPIC_MAX_LENGTH and TopicValidator, RocketMQ 4.9.7"
		l.Group.Source = "255 in Validators of 4.9.7; less, so that an upgrade to 5.x changes nothing (" + fromValidator + ")"
		l.OrderingKey.Source = "no limit of its own in 4.9; that of 5.x, so that an upgrade changes nothing"
		l.DelaySeconds = Limit{seconds(2 * time.Hour), "MessageStoreConfig.messageDelayLevel, RocketMQ 4.9.7: 18 levels, the last is 2h"}
	case ApsaraMQ4:
		l.Profile = p
		l.Topic = Limit{64, fromApsara4}
		l.Group = Limit{64, fromLimitsPage}
		l.Payload = Limit{4 << 20, fromApsara4}
		l.PayloadTransact, l.PayloadDelay = Limit{64 << 10, fromApsara4}, Limit{64 << 10, fromApsara4}
		l.HeaderProperties = Limit{16 << 10, fromApsara4}
		l.DelaySeconds = Limit{seconds(40 * 24 * time.Hour), fromApsara4}
	case ApsaraMQ5:
		l.Profile = p
		l.Topic = Limit{MaxTopicBytes, fromApsara5 + ": 60, on serverless instances 128, of which the protocol carries 127. A topic that is bound exists, so its name is right"}
		l.TopicLetters = Limit{1, fromApsara5}
		l.Group = Limit{60, fromApsara5}
		l.Payload, l.PayloadTransact, l.PayloadDelay = Limit{4 << 20, fromApsara5}, Limit{4 << 20, fromApsara5}, Limit{4 << 20, fromApsara5}
		l.HeaderProperties = Limit{16 << 10, fromApsara5}
		l.DelaySeconds = Limit{seconds(24 * time.Hour), "scheduled messages, " + fromLimitsPage}
	default:
		return Limits{}, fmt.Errorf("unknown profile of limits %q: must be one of %s", string(p), profileNames())
	}
	return l, nil
}

// PayloadOf returns the limit of the payload on topics of a type.
func (l Limits) PayloadOf(t TopicType) Limit {
	switch t {
	case TransactionTopic:
		return l.PayloadTransact
	case DelayTopic:
		return l.PayloadDelay
	case AnyTopic, NormalTopic, FIFOTopic:
	}
	return l.Payload
}

func profileNames() string {
	var names []string
	for _, p := range Profiles() {
		names = append(names, string(p))
	}
	return strings.Join(slices.Compact(names), ", ")
}

// days writes seconds for people.

func seconds(d time.Duration) int64 { return int64(d / time.Second) }
