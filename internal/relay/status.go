package relay

import "fmt"

// status names a broker's answer as it is kept with a dead letter: the code and its name in RocketMQ (ResponseCode), "" where
// there was none.
func (a Answer) status() string {
	if a.Err != nil {
		return ""
	}
	name := map[int]string{
		codeOK: "SUCCESS", codeSystemError: "SYSTEM_ERROR", codeBusy: "SYSTEM_BUSY", codeFlushDiskTimeout: "FLUSH_DISK_TIMEOUT",
		codeSlaveNotAvailable: "SLAVE_NOT_AVAILABLE", codeFlushSlaveTimeout: "FLUSH_SLAVE_TIMEOUT", codeMessageIllegal: "MESSAGE_ILLEGAL",
		codeServiceNotAvail: "SERVICE_NOT_AVAILABLE", codeNoPermission: "NO_PERMISSION", codeTopicNotExist: "TOPIC_NOT_EXIST",
		codeFlowControl: "FLOW_CONTROL", codeIllegalOperation: "ILLEGAL_OPERATION",
	}[a.Code]
	if name == "" {
		return fmt.Sprint(a.Code)
	}
	return fmt.Sprintf("%d %s", a.Code, name)
}
