package relay

import (
	"errors"
	"strings"
	"time"
)

// This file is the table of answers: what each means, and nothing else decides it. An answer that is not listed as certain
// is in doubt.

// Response codes of RocketMQ 5.3 (ResponseCode.java, RemotingSysResponseCode.java).
const (
	codeOK                = 0
	codeSystemError       = 1
	codeBusy              = 2
	codeFlushDiskTimeout  = 10
	codeSlaveNotAvailable = 11
	codeFlushSlaveTimeout = 12
	codeMessageIllegal    = 13
	codeServiceNotAvail   = 14
	codeNoPermission      = 16
	codeTopicNotExist     = 17
	codeFlowControl       = 215
	codeIllegalOperation  = 604
)

// A HalfVerdict is what the relay does after the answer to a half.
type HalfVerdict int

// The verdicts on halves.
const (
	HalfStored HalfVerdict = iota + 1 // as safely as the broker is set up to: goes on to decide
	HalfUnsafe                        // stored, perhaps not safely: roll it back, retry the row with backoff
	HalfPause                         // resending is useless: keep the row and what happened, alert, pause the topic on that broker
	HalfSlow                          // slow down for that broker and topic, the row stays as it is
	HalfForget                        // unknown, but invisible: forget it, the row is sent again in a new attempt
	HalfDead                          // will never work: dead letter
)

// JudgeHalf is the table for halves.
func JudgeHalf(a Answer) (HalfVerdict, Reason) {
	if a.Err != nil {
		return HalfForget, silence(a)
	}
	switch a.Code {
	case codeOK:
		return HalfStored, ""
	case codeFlushDiskTimeout:
		return HalfUnsafe, ReasonFlushDiskTimeout
	case codeFlushSlaveTimeout:
		return HalfUnsafe, ReasonFlushSlaveTimeout
	case codeSlaveNotAvailable:
		return HalfPause, ReasonSlaveNotAvailable
	case codeMessageIllegal:
		return HalfDead, ReasonMessageIllegal
	case codeBusy:
		return HalfSlow, ReasonBusy
	case codeFlowControl:
		return HalfSlow, ReasonFlowControl
	case codeServiceNotAvail: // the disk is full, or the broker is shutting down
		return HalfSlow, ReasonServiceUnavailable
	case codeNoPermission:
		return HalfSlow, ReasonNoPermission
	case codeTopicNotExist:
		return HalfSlow, ReasonTopicMissing
	}
	if a.Code == codeSystemError && strings.Contains(a.Remark, "in-sync replicas") {
		return HalfPause, ReasonNotInSync
	}
	return HalfSlow, ReasonBrokerRefused
}

// JudgeSend is the table for messages that are sent plainly: certain means that the broker has answered what became of the
// message, or that it was never sent. Then the rest is as for halves, but for what the verdicts cost: a message that was stored
// is visible, so HalfUnsafe and HalfPause send it a second time, under the same deduplication key.
func JudgeSend(a Answer) (verdict HalfVerdict, reason Reason, certain bool) {
	verdict, reason = JudgeHalf(a)
	switch {
	case a.Err != nil:
		return verdict, reason, !a.Sent
	case a.Code == codeSystemError && strings.Contains(a.Remark, "size exceeded"): // a batch that is too large (MessageExtEncoder)
		return HalfDead, ReasonMessageIllegal, true
	case reason == ReasonBrokerRefused:
		return verdict, reason, a.Code == codeSystemError && refusedUnstored(a.Remark)
	default:
		return verdict, reason, true
	}
}

// refusedUnstored reports whether the text of code 1 is one of those that SendMessageProcessor gives before anything is stored
// (5.3: handlePutMessageResult).
func refusedUnstored(remark string) bool {
	for _, text := range []string{"create mapped file failed", "timer message", "wheel timer", "accurate timer message"} {
		if strings.Contains(remark, text) {
			return true
		}
	}
	return false
}

// refusal returns why a broker did not answer another question than a half, a commit or a send: an error may say the code that it
// answered with.
func refusal(err error) Reason {
	var answered interface{ ResponseCode() int }
	if errors.As(err, &answered) {
		_, reason := JudgeHalf(Answer{Code: answered.ResponseCode()})
		return reason
	}
	return ReasonUnreachable
}

// A CommitVerdict is what the relay knows after the answer to a commit.
type CommitVerdict int

// The verdicts on commits.
const (
	CommitDone    CommitVerdict = iota + 1 // on the topic: settle
	CommitRefused                          // certainly not applied: strike, the row is pending again
	CommitInDoubt                          // the resolver decides
)

// JudgeCommit is the table for commits. An answer that took longer than timeout is no proof: the broker reports neither a
// flush nor a slave timeout on commits, it just answers late.
func JudgeCommit(a Answer, timeout time.Duration) (CommitVerdict, Reason) {
	if a.Err != nil {
		if !a.Sent {
			return CommitRefused, ReasonUnreachable
		}
		return CommitInDoubt, silence(a)
	}
	switch a.Code {
	case codeOK:
		if a.Took > timeout {
			return CommitInDoubt, ReasonLate
		}
		return CommitDone, ""
	case codeIllegalOperation:
		return CommitRefused, ReasonWindowOver
	case codeBusy: // dropped from the queue before it was processed (BrokerFastFailure)
		return CommitRefused, ReasonBusy
	case codeSlaveNotAvailable: // a slave refuses at the door (EndTransactionProcessor)
		return CommitRefused, ReasonSlaveNotAvailable
	case codeSystemError:
		if halfGone(a) {
			return CommitRefused, ReasonHalfGone
		}
		if strings.Contains(a.Remark, "offset wrong") || strings.Contains(a.Remark, "group wrong") {
			return CommitRefused, ReasonBrokerRefused
		}
	}
	return CommitInDoubt, ReasonBrokerRefused
}

// Fenced reports whether the answer to a direct ROLLBACK proves that the broker accepts no commit of the half any more: the
// window is over by the broker's own clock, or the half has left the log.
func Fenced(a Answer) bool {
	return a.Err == nil && (a.Code == codeIllegalOperation || a.Code == codeSystemError && halfGone(a))
}

func halfGone(a Answer) bool {
	return strings.Contains(a.Remark, "Find prepared transaction message failed")
}

func silence(a Answer) Reason {
	switch {
	case !a.Sent:
		return ReasonUnreachable
	case isTimeout(a.Err):
		return ReasonTimeout
	default:
		return ReasonLost
	}
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}
