package outbox

// The limits of a message for Apache RocketMQ 5.x; profile.go has those of others. The relay holds rows to the same ones, whoever inserted them. What they are taken from:
//
//	Apache RocketMQ 5.3.3   the broker's code; the class is named
//	measured                seen on a real 5.3.3 broker
//	limits page             rocketmq.apache.org/docs/introduction/03limits
const (
	// MaxTopicBytes: TopicValidator.TOPIC_MAX_LENGTH. The limits page suggests at most 64, and ApsaraMQ 4.x enforces that.
	MaxTopicBytes = 127
	// MaxPayloadBytes: MessageStoreConfig.maxMessageSize, 4 MiB; measured: 4,194,304 pass, one more is answered 13. A broker may
	// be set lower, and ApsaraMQ 4.x takes 64 KiB on transaction and delay topics: then the relay makes dead letters.
	MaxPayloadBytes = 4 << 20
	// AdvisedPayloadBytes: RocketMQ's best practice for producers. A larger payload is sent; the relay warns.
	AdvisedPayloadBytes = 512 << 10
	// MaxPropertyBytes: names and values of all properties, the relay's included, with two separators each. The broker refuses
	// more than 32,767 (MessageExtEncoder; measured: 32,600 pass, 32,700 do not), and adds some of its own to a half message
	// each time it asks about it. One that no longer fits then stops the check service of the whole broker, so we stay 767
	// bytes below. The limits page suggests at most 16 KiB of user properties.
	MaxPropertyBytes = 32_000
	// MaxOrderingKeyBytes: the limits page, MessageGroup, 1 to 64 bytes; ProxyConfig.maxMessageGroupSize.
	MaxOrderingKeyBytes = 64
	// maxGroupBytes: TopicValidator.GROUP_MAX_LENGTH. The producer group is a property of every half message.
	maxGroupBytes = 120
)

// reservedTopics are RocketMQ's own (limits page; TopicValidator).
var reservedTopics = set(
	"TBW102",
	"BenchmarkTest",
	"SELF_TEST_TOPIC",
	"OFFSET_MOVED_EVENT",
	"SCHEDULE_TOPIC_XXXX",
	"SCHEDULE_TOPIC_XXXX_V2",
	"RMQ_SYS_TRANS_HALF_TOPIC",
	"RMQ_SYS_TRACE_TOPIC",
	"RMQ_SYS_TRANS_OP_HALF_TOPIC",
	"TRANS_CHECK_MAX_TIME_TOPIC",
	"CHECKPOINT_TOPIC",
)

// reservedTopicPrefixes start the names of topics that RocketMQ makes (limits page; TopicValidator.SYSTEM_TOPIC_PREFIX).
var reservedTopicPrefixes = []string{"rmq_sys_", "RMQ_SYS_", "%RETRY%", "%DLQ%", "rocketmq-broker-", "rocketmq-proxy-"}

// reservedHeaders are properties that RocketMQ gives a meaning to (MessageConst.STRING_HASH_SET, which the Java client
// refuses as well, and the constants of MessageConst beside it). A user property of the same name would replace the
// system's: WAIT=false makes every send look safe, DELAY on a half message loses it.
var reservedHeaders = set(
	"KEYS", "TAGS", "WAIT", "DELAY", "RETRY_TOPIC", "REAL_TOPIC", "REAL_QID", "TRAN_MSG", "PGROUP", "MIN_OFFSET", "MAX_OFFSET",
	"BUYER_ID", "ORIGIN_MESSAGE_ID", "TRANSFER_FLAG", "CORRECTION_FLAG", "MQ2_FLAG", "RECONSUME_TIME", "MSG_REGION", "TRACE_ON",
	"UNIQ_KEY", "EXTEND_UNIQ_INFO", "MAX_RECONSUME_TIMES", "CONSUME_START_TIME", "INNER_NUM", "INNER_BASE", "DUP_INFO",
	"CHECK_IMMUNITY_TIME_IN_SECONDS", "TRAN_PREPARED_QUEUE_OFFSET", "TRANSACTION_CHECK_TIMES", "INSTANCE_ID", "CORRELATION_ID",
	"REPLY_TO_CLIENT", "TTL", "ARRIVE_TIME", "PUSH_REPLY_TIME", "CLUSTER", "MSG_TYPE", "POP_CK", "POP_CK_OFFSET", "1ST_POP_TIME",
	"SHARDING_KEY", "PROPERTY_FORWARD_QUEUE_ID", "REDIRECT", "INNER_MULTI_DISPATCH", "INNER_MULTI_QUEUE_OFFSET", "TRACE_CONTEXT",
	"BORN_HOST", "BORN_TIMESTAMP", "DLQ_ORIGIN_TOPIC", "DLQ_ORIGIN_MESSAGE_ID",
)

// reservedHeaderPrefixes: TIMER_DELIVER_MS and its relatives; RocketMQ's internal names (__SHARDINGKEY, __transactionId__,
// __BORNHOST, __CRC32#, __RMQ.TRANSIENT.); and the relay's (outbox-origin, outbox-id, outbox-dedup-key).
var reservedHeaderPrefixes = []string{"TIMER_", "__", "outbox-"}

// relayPropertyBytes is the most that the relay's own properties of one half message take, beside those that depend on the
// message: see propertyBytes.
const relayPropertyBytes = len("UNIQ_KEY") + 32 +
	len("TRAN_MSG") + len("true") +
	len("WAIT") + len("true") +
	len("PGROUP") + maxGroupBytes +
	len("CHECK_IMMUNITY_TIME_IN_SECONDS") + len("449") +
	len("outbox-origin") + uuidBytes +
	len("outbox-id") + idBytes +
	7*separatorBytes

const (
	uuidBytes      = 36
	idBytes        = 19 // the largest bigint
	separatorBytes = 2  // 0x01 after the name, 0x02 after the value
)

func set(names ...string) map[string]bool {
	m := make(map[string]bool, len(names))
	for _, n := range names {
		m[n] = true
	}
	return m
}
