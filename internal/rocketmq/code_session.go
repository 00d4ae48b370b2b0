package rocketmq

// Request codes of a session (RocketMQ 5.3 RequestCode).
const (
	reqHeartbeat             = 34
	reqUnregisterClient      = 35
	reqCheckTransactionState = 39
)

// codeSystemError is what ACL 1.0 answers.
const codeSystemError = 1
