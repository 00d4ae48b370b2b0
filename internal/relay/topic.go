package relay

import "fmt"

// A Topic is one prebound topic. The table outbox_topic holds the same for all relays.
type Topic struct {
	Name      string
	Namespace string  // of the RocketMQ instance, "" = none
	Type      string  // transaction, normal, fifo or delay
	Mode      string  // sync, async or oneway; "" for types other than normal
	Delivery  string  // exactly_once or at_least_once
	OnDead    string  // block or skip
	Queues    []Queue // the fixed list that ordering keys are hashed over
}

// What a topic can be, as in outbox_topic.
const (
	TypeTransaction = "transaction"
	TypeNormal      = "normal"
	TypeFIFO        = "fifo"
	TypeDelay       = "delay"

	ModeSync   = "sync"   // a request of the topic to a broker waits for the answer to the one before
	ModeAsync  = "async"  // requests do not wait for each other
	ModeOneway = "oneway" // requests are not answered

	ExactlyOnce = "exactly_once"
	AtLeastOnce = "at_least_once"

	OnDeadBlock = "block"
	OnDeadSkip  = "skip"
)

// Way returns how the topic's messages get there.
func (t Topic) Way() Way {
	switch {
	case t.Type == TypeTransaction:
		return WayHalf
	case t.Mode == ModeOneway:
		return WayOneway
	default:
		return WaySend
	}
}

// Exact reports whether the topic's messages are promised to be there exactly once.
func (t Topic) Exact() bool { return t.Type == TypeTransaction && t.Delivery == ExactlyOnce }

// inTurn reports whether what goes to the topic waits for the answer to what went before.
func (t Topic) inTurn() bool { return t.Type == TypeFIFO || t.Mode == ModeSync }

// validate reports what about the topic cannot be.
func (t Topic) validate() error {
	switch t.Type {
	case TypeTransaction, TypeFIFO, TypeDelay:
		if t.Mode != "" {
			return fmt.Errorf("topic %s: only type normal has a mode, but it is of type %s with mode %s", t.Name, t.Type, t.Mode)
		}
	case TypeNormal:
		if t.Mode != ModeSync && t.Mode != ModeAsync && t.Mode != ModeOneway {
			return fmt.Errorf("topic %s: mode must be sync, async or oneway, but it is %q", t.Name, t.Mode)
		}
	default:
		return fmt.Errorf("topic %s: type must be transaction, normal, fifo or delay, but it is %q", t.Name, t.Type)
	}
	switch {
	case t.Delivery != ExactlyOnce && t.Delivery != AtLeastOnce:
		return fmt.Errorf("topic %s: delivery must be exactly_once or at_least_once, but it is %q", t.Name, t.Delivery)
	case t.Delivery == ExactlyOnce && t.Type != TypeTransaction:
		return fmt.Errorf("topic %s: only type transaction can be delivered to exactly once, but it is of type %s", t.Name, t.Type)
	}
	return nil
}

// refuse returns why the topic's type does not take a row, "" where it does. RocketMQ itself would take most of these, and lose
// or reorder them.
func (t Topic) refuse(row *Row) string {
	switch delayed, keyed := !row.DeliverAt.IsZero(), row.OrderingKey != ""; {
	case t.Type == TypeTransaction && delayed:
		return "deliver_at is set, but a transactional message with a delay is lost by the broker: use a topic of type delay"
	case t.Type == TypeDelay && !delayed:
		return "deliver_at is not set, but the topic is of type delay: use one of type normal"
	case t.Type != TypeDelay && delayed:
		return fmt.Sprintf("deliver_at is set, but the topic is of type %s: use one of type delay", t.Type)
	case t.Type == TypeFIFO && !keyed:
		return "ordering_key is not set, but the topic is of type fifo: use one of type normal"
	case t.Type == TypeNormal && keyed:
		return "ordering_key is set, but the topic is of type normal, which has no order: use one of type fifo or transaction"
	case t.Type == TypeDelay && keyed:
		return "ordering_key is set, but the topic is of type delay, which has no order"
	}
	return ""
}
