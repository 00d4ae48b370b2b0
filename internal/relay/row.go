package relay

import (
	"time"

	"github.com/google/uuid"
)

// A Row is one pending outbox row, as read. The relay never changes it.
type Row struct {
	ID          int64
	CreatedAt   time.Time
	Shard       int16
	Attempts    int16 // failures that were the row's own fault; outages are not counted
	Topic       string
	Tag         string    // "" = none
	Keys        string    // business keys separated by spaces, "" = none
	OrderingKey string    // "" = unordered
	DedupKey    string    // "" = the default, <origin>-<id>
	Headers     []byte    // the JSON text of column headers, nil = none; cut, if it is far too long
	Payload     []byte    // cut, if it is far too large
	Size        int64     // of the payload in the table
	DeliverAt   time.Time // zero = none
}

// A Key is the unit of order: rows with the same topic and ordering key arrive in id order. The zero Key means
// unordered.
type Key struct {
	Topic    string
	Ordering string
}

// Key returns the row's unit of order.
func (r *Row) Key() Key {
	if r.OrderingKey == "" {
		return Key{}
	}
	return Key{Topic: r.Topic, Ordering: r.OrderingKey}
}

// A Queue is one message queue of a topic.
type Queue struct {
	Broker string // broker name
	ID     int
}

// A Target is one queue that an attempt writes to.
type Target struct {
	Topic    string
	Queue    int
	ReadFrom int64 // a consume offset that no message of the attempt can lie before; at most a second older than the halves
}

// AttemptID is the first 14 bytes of every UNIQ_KEY of an attempt: 80 random bits and, for RocketMQ's tools, the
// milliseconds since the start of the month.
type AttemptID [14]byte

// A Way is how the messages of an attempt get to their topics. The values are those of outbox_attempt.way.
type Way string

// The ways.
const (
	WayHalf   Way = "half"   // half message, decision, acknowledged commit: topics of type transaction
	WaySend   Way = "send"   // intent, send, acknowledgement: the other types
	WayOneway Way = "oneway" // intent, send, no acknowledgement: topics of type normal with mode oneway
)

// An Attempt is one batch of messages to one broker, and at the same time one row of the ledger.
type Attempt struct {
	ID      AttemptID
	Way     Way
	Broker  string        // broker name
	Address string        // host:port of the master that stored the halves, or that is sent to
	Born    time.Time     // born time of every message, whole milliseconds
	Window  time.Duration // how long commits may be accepted, as far as is known, or sends may begin: whole seconds
	Targets []Target      // those that no entry goes to are queues where the broker keeps delayed messages
	Entries []Entry
}

// An Entry is one message of an attempt.
type Entry struct {
	Index       int // in the UNIQ_KEY, 0 … 32,767; not always the entry's position: only halves answered SEND_OK are decided
	Row         int64
	Shard       int16
	Target      int   // index into Attempt.Targets
	HalfOffset  int64 // of a half; 0 for what is sent plainly
	LogOffset   int64 // likewise
	OrderingKey string
	DedupKey    string // the row's own, "" where it has none
}

// A Closing says what became of the entries of one attempt, by position in Attempt.Entries. It changes only entries that
// are still open.
type Closing struct {
	Attempt AttemptID
	Lenient bool  // its topics are at least once: a message confirmed after it was given up is a duplicate, no broken promise
	All     bool  // every entry is settled; Settled and Struck are empty
	Settled []int // entries that are on their topic: their rows are deleted
	Struck  []int // entries that certainly are not: their rows are pending again
}

// A Closed is the store's answer to a Closing.
type Closed struct {
	Broken []int // entries that were to be settled but had been struck before: a broken promise
}

// A Failure is what went wrong with a row, to be written to the row or to take it to the dead letters.
type Failure struct {
	Row     int64
	Reason  Reason
	Error   string        // for people; never holds payload
	Status  string        // what the broker answered, "" where it did not or was not asked
	Broker  string        // "" where no broker had a part in it
	Delay   time.Duration // until the next try; ignored for dead letters
	Counted bool          // whether the attempt counts
}

// Session identifies one life of a relay in the lease table.
type Session struct {
	ID       uuid.UUID
	Instance string
	ClientID string
	Version  string
}
