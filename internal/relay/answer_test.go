package relay

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// timeoutError is an error as the connection layer gives it for an answer that did not come.
type timeoutError struct{}

func (timeoutError) Error() string { return "no answer" }
func (timeoutError) Timeout() bool { return true }

func TestJudgeHalf(t *testing.T) {
	t.Parallel()
	lost := errors.New("connection reset")
	tests := []struct {
		name    string
		answer  Answer
		verdict HalfVerdict
		reason  Reason
	}{
		{"ok", Answer{Code: 0}, HalfStored, ""},
		{"flush disk timeout", Answer{Code: 10}, HalfUnsafe, ReasonFlushDiskTimeout},
		{"flush slave timeout", Answer{Code: 12}, HalfUnsafe, ReasonFlushSlaveTimeout},
		{"slave not available", Answer{Code: 11}, HalfPause, ReasonSlaveNotAvailable},
		{"not in sync", Answer{Code: 1, Remark: "the in-sync replicas not enough"}, HalfPause, ReasonNotInSync},
		{"another system error", Answer{Code: 1, Remark: "UNKNOWN_ERROR"}, HalfSlow, ReasonBrokerRefused},
		{"timeout", Answer{Err: timeoutError{}, Sent: true}, HalfForget, ReasonTimeout},
		{"wrapped timeout", Answer{Err: fmt.Errorf("send: %w", os.ErrDeadlineExceeded), Sent: true}, HalfForget, ReasonTimeout},
		{"context", Answer{Err: context.DeadlineExceeded, Sent: true}, HalfForget, ReasonTimeout},
		{"lost", Answer{Err: lost, Sent: true}, HalfForget, ReasonLost},
		{"never sent", Answer{Err: lost}, HalfForget, ReasonUnreachable},
		{"illegal", Answer{Code: 13}, HalfDead, ReasonMessageIllegal},
		{"busy", Answer{Code: 2}, HalfSlow, ReasonBusy},
		{"flow control", Answer{Code: 215}, HalfSlow, ReasonFlowControl},
		{"no permission", Answer{Code: 16}, HalfSlow, ReasonNoPermission},
		{"no topic", Answer{Code: 17}, HalfSlow, ReasonTopicMissing},
		{"service not available", Answer{Code: 14}, HalfSlow, ReasonServiceUnavailable},
		{"anything else", Answer{Code: 4711}, HalfSlow, ReasonBrokerRefused},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			verdict, reason := JudgeHalf(tt.answer)
			assert.Equal(t, tt.verdict, verdict)
			assert.Equal(t, tt.reason, reason)
		})
	}
}

// codeError is an error that says what the broker answered.
type codeError int

func (codeError) Error() string       { return "answered" }
func (c codeError) ResponseCode() int { return int(c) }

func TestRefusal(t *testing.T) {
	t.Parallel()
	assert.Equal(t, ReasonNoPermission, refusal(fmt.Errorf("ask for offsets: %w", codeError(16))), "somebody is alerted")
	assert.Equal(t, ReasonBusy, refusal(codeError(2)))
	assert.Equal(t, ReasonUnreachable, refusal(errors.New("connection refused")))
}

func TestJudgeCommit(t *testing.T) {
	t.Parallel()
	lost := errors.New("connection reset")
	const timeout = 2500 * time.Millisecond
	tests := []struct {
		name    string
		answer  Answer
		verdict CommitVerdict
		reason  Reason
	}{
		{"ok", Answer{Code: 0, Took: timeout}, CommitDone, ""},
		{"ok, but late", Answer{Code: 0, Took: timeout + 1}, CommitInDoubt, ReasonLate},
		{"604", Answer{Code: 604}, CommitRefused, ReasonWindowOver},
		{"604, late", Answer{Code: 604, Took: time.Minute}, CommitRefused, ReasonWindowOver},
		{"busy", Answer{Code: 2}, CommitRefused, ReasonBusy},
		{"a slave", Answer{Code: 11}, CommitRefused, ReasonSlaveNotAvailable},
		{"wrong offset", Answer{Code: 1, Remark: "The transaction state table offset wrong"}, CommitRefused, ReasonBrokerRefused},
		{"wrong group", Answer{Code: 1, Remark: "The producer group wrong"}, CommitRefused, ReasonBrokerRefused},
		{"half gone", Answer{Code: 1, Remark: "Find prepared transaction message failed"}, CommitRefused, ReasonHalfGone},
		{"never sent", Answer{Err: lost}, CommitRefused, ReasonUnreachable},
		{"lost", Answer{Err: lost, Sent: true}, CommitInDoubt, ReasonLost},
		{"timeout", Answer{Err: timeoutError{}, Sent: true}, CommitInDoubt, ReasonTimeout},
		{"1 with another text", Answer{Code: 1, Remark: "UNKNOWN_ERROR"}, CommitInDoubt, ReasonBrokerRefused},
		{"not in sync: after the append with DLedger", Answer{Code: 1, Remark: "in-sync replicas not enough"}, CommitInDoubt, ReasonBrokerRefused},
		{"flush disk timeout, which no broker says on a commit", Answer{Code: 10}, CommitInDoubt, ReasonBrokerRefused},
		{"anything else", Answer{Code: 4711}, CommitInDoubt, ReasonBrokerRefused},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			verdict, reason := JudgeCommit(tt.answer, timeout)
			assert.Equal(t, tt.verdict, verdict)
			assert.Equal(t, tt.reason, reason)
		})
	}
}

func TestFenced(t *testing.T) {
	t.Parallel()
	assert.True(t, Fenced(Answer{Code: 604}))
	assert.True(t, Fenced(Answer{Code: 1, Remark: "Find prepared transaction message failed"}))
	assert.False(t, Fenced(Answer{Code: 0}), "not yet")
	assert.False(t, Fenced(Answer{Code: 1, Remark: "The transaction state table offset wrong"}), "another half lies there: proves nothing")
	assert.False(t, Fenced(Answer{Code: 604, Err: errors.New("lost")}))
	assert.False(t, Fenced(Answer{Code: 2}))
}
