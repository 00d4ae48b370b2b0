package rocketmq

import (
	"strconv"
	"strings"
	"time"
)

// A traceRecord is one thing that happened to a message: that it was sent (Pub), or that its transaction ended.
type traceRecord struct {
	at         time.Time // when it was asked for
	took       time.Duration
	region     string // of the broker; "" for RocketMQ's default
	topic      string // without the namespace, as Java's client writes it
	tag, keys  string
	msgID      string // UNIQ_KEY
	address    string // of the broker
	offsetID   string // where the broker stored it; Pub only
	bodyLength int    // Pub only
	kind       traceKind
	success    bool             // Pub only: SEND_OK
	end        transactionState // "" for Pub
	fromCheck  bool             // the end was the answer to a check-back
}

// A traceKind is what kind of message it is (org.apache.rocketmq.common.message.MessageType, by ordinal).
type traceKind int

// The kinds.
const (
	traceNormal traceKind = iota // also FIFO with a broker before 5.0
	traceHalf
	traceCommit
	traceDelay
	traceOrder
)

// A transactionState is how a transaction ended (LocalTransactionState).
type transactionState string

const (
	stateCommit   transactionState = "COMMIT_MESSAGE"
	stateRollback transactionState = "ROLLBACK_MESSAGE"
	stateUnknown  transactionState = "UNKNOW"
)

// defaultRegion is MixAll.DEFAULT_TRACE_REGION_ID.
const defaultRegion = "DefaultRegion"

// The separators of TraceConstants.
const (
	traceFieldEnd  = '\x01'
	traceRecordEnd = '\x02'
)

// append encodes the record as Java's TraceDataEncoder does, which consoles and mqadmin read.
func (r *traceRecord) append(buf []byte, group string) []byte {
	field := func(s string) {
		if strings.ContainsAny(s, "\x01\x02") {
			s = strings.NewReplacer("\x01", " ", "\x02", " ").Replace(s)
		}
		buf = append(append(buf, s...), traceFieldEnd)
	}
	number := func(n int64) { buf = append(strconv.AppendInt(buf, n, 10), traceFieldEnd) }
	last := func(b bool) { buf = append(strconv.AppendBool(buf, b), traceRecordEnd) }
	if r.end == "" {
		field("Pub")
	} else {
		field("EndTransaction")
	}
	number(r.at.UnixMilli())
	if r.region == "" {
		field(defaultRegion)
	} else {
		field(r.region)
	}
	for _, s := range []string{group, r.topic, r.msgID, r.tag, r.keys, r.address} {
		field(s)
	}
	if r.end != "" {
		number(int64(traceCommit))
		field(r.msgID) // the transaction's id
		field(string(r.end))
		last(r.fromCheck)
		return buf
	}
	number(int64(r.bodyLength))
	number(r.took.Milliseconds())
	number(int64(r.kind))
	field(r.offsetID)
	last(r.success)
	return buf
}
