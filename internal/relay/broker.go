package relay

import (
	"context"
	"time"
)

// Broker is what the relay needs of RocketMQ; package rocketmq implements it. All methods may be called concurrently. None
// of them retries: what an answer means is decided in answer.go and nowhere else.
type Broker interface {
	// Queues returns the topic's writable queues on masters that answer, as last routed; empty while there is none.
	Queues(topic string) []Queue
	// Routed returns the topic's writable queues on all masters, whether they answer or not.
	Routed(topic string) []Queue
	// Address returns the address of the broker's master; false if the broker is not routed or its circuit is open.
	Address(broker string) (string, bool)

	// Halves sends half messages to one master in one gathered write and returns when each is answered or has failed, after
	// its timeout at the latest. Answers are in the order of halves.
	Halves(ctx context.Context, address string, halves []Half) []HalfAnswer
	// MaxOffsets asks one master for the end of each queue.
	MaxOffsets(ctx context.Context, address string, queues []TopicQueue) ([]int64, error)
	// Commit sends END_TRANSACTION commit for each half, two-way, in one gathered write, and calls answered once for each, from
	// any goroutine, after timeout at the latest. answered must not block.
	Commit(address string, halves []StoredHalf, timeout time.Duration, answered func(i int, a Answer))
	// Send sends plain messages in one gathered write, each request as one: a message, or several of one queue as one RocketMQ
	// batch, which is stored as a whole or not at all. It calls answered once for each request, from any goroutine, after the
	// timeout for halves at the latest. answered must not block.
	Send(address string, requests [][]Half, answered func(i int, a Answer))
	// Oneway sends the same without asking for answers: answered is called when the request was passed to the kernel, with code
	// 0, or has failed.
	Oneway(address string, requests [][]Half, answered func(i int, a Answer))
	// Delays says how one master delays messages.
	Delays(ctx context.Context, address string) (Delays, error)
	// Rollback sends END_TRANSACTION rollback for each half, two-way, and returns the answers.
	Rollback(ctx context.Context, address string, halves []StoredHalf) []Answer
	// Forget sends END_TRANSACTION rollback one-way, to clean up halves that will not be committed. Errors do not matter.
	Forget(address string, halves []StoredHalf)

	// Lookup asks the index of one master for the UNIQ_KEY on topic. Found proves; not found proves nothing.
	Lookup(ctx context.Context, address, topic, uniqKey string) (found bool, err error)
	// ReadBack reads one queue from an offset to its end and calls found for every UNIQ_KEY.
	ReadBack(ctx context.Context, address string, q TopicQueue, from int64, found func(uniqKey string)) (ReadProof, error)
	// StoredAt asks one master when, by its own clock, it stored a half that is in its log.
	StoredAt(ctx context.Context, address string, half StoredHalf) (time.Time, error)
	// Dispatched reports whether the master's dispatcher has passed the half with this queue offset: everything it stored
	// before is readable.
	Dispatched(ctx context.Context, address string, halfOffset int64) (bool, error)
}

// A TopicQueue is a queue of a topic on a broker that is known from the context.
type TopicQueue struct {
	Topic string
	Queue int
}

// A Half is one message to be stored: a half message where it has an immunity, else a plain one.
type Half struct {
	Topic      string
	Queue      int
	UniqKey    string // 32 upper-case hex digits
	Born       time.Time
	Immunity   time.Duration // CHECK_IMMUNITY_TIME_IN_SECONDS of a half message; 0 = a plain one
	DeliverAt  time.Time     // TIMER_DELIVER_MS; zero = none
	DelayLevel int           // DELAY, for brokers without timers; 0 = none
	Tag        string
	Keys       string     // the deduplication key, then the business keys, separated by spaces
	Ordering   string     // "" = none; becomes SHARDING_KEY and __SHARDINGKEY
	Properties []Property // user properties
	Body       []byte
	Compressed bool // Body is packed by zlib, and consumers unpack it
}

// A Property is one user property.
type Property struct{ Name, Value string }

// An Answer is what came back for one request.
type Answer struct {
	Code   int    // valid if Err is nil
	Remark string // likewise
	Took   time.Duration
	Err    error // no answer
	// Sent is false if it is certain that the broker cannot have received the request: it was never completely written to a
	// socket. Meaningful only if Err is not nil.
	Sent bool
}

// A HalfAnswer is an answer to a half.
type HalfAnswer struct {
	Answer
	HalfOffset int64 // queue offset in the half topic; valid if Stored
	LogOffset  int64 // commit log offset; valid if Stored
	Stored     bool  // the answer carries offsets: codes 0, 10, 11, 12
}

// A StoredHalf says where a half lies.
type StoredHalf struct {
	Topic      string
	UniqKey    string
	HalfOffset int64
	LogOffset  int64
}

// A ReadProof says what a reading covered.
type ReadProof struct {
	// Complete is true if the queue's minimum offset was at most the start before and after, the reading reached the end
	// without a gap, and a master answered: what was not found is not there.
	Complete bool
	Why      string // why not complete
	Messages int
}
