package rocketmq

// Request codes (RocketMQ 5.3 RequestCode).
const (
	reqPullMessage      = 11
	reqQueryMessage     = 12
	reqBrokerConfig     = 26
	reqBrokerRuntime    = 28
	reqGetMaxOffset     = 30
	reqGetMinOffset     = 31
	reqViewMessage      = 33
	reqEndTransaction   = 37
	reqRoute            = 105
	reqClusterInfo      = 106
	reqSendMessageV2    = 310
	reqSendBatchMessage = 320
	reqTopicConfig      = 351
)

// Response codes (RocketMQ 5.3 ResponseCode). What they mean for a half or a commit is decided by the relay; here are only
// those that this package itself must tell apart.
const (
	codeSuccess           = 0
	codeNotSupported      = 3 // RemotingSysResponseCode.REQUEST_CODE_NOT_SUPPORTED
	codeFlushDiskTimeout  = 10
	codeSlaveNotAvailable = 11
	codeFlushSlaveTimeout = 12
	codeMessageIllegal    = 13
	codeNoPermission      = 16
	codeTopicNotExist     = 17
	codePullNotFound      = 19
	codePullRetry         = 20
	codePullOffsetMoved   = 21
	codeQueryNotFound     = 22
)

// halfTopic is where the broker keeps half messages, in queue 0 (TransactionalMessageUtil.buildHalfTopic).
const halfTopic = "RMQ_SYS_TRANS_HALF_TOPIC"

// Values of commitOrRollback and of a half's sysFlag (MessageSysFlag).
const (
	transactionPrepared = 4
	transactionCommit   = 8
	transactionRollback = 12
)
