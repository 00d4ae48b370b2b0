package rocketmq

import (
	"errors"
	"fmt"

	"github.com/outbox-relay/outbox-relay/internal/rocketmq/remoting"
)

// What can be wrong with a topic or a broker.
var (
	// ErrUnreachable: a name server or broker did not answer. Temporary: wait and try again.
	ErrUnreachable = errors.New("not reachable at present")
	// ErrTopicMissing: the name servers answer and do not know the topic. Definitive.
	ErrTopicMissing = errors.New("topic does not exist")
	// ErrNotWritable: the topic's permissions forbid writing, on every broker. Definitive.
	ErrNotWritable = errors.New("topic may not be written")
)

// A TopicError is what is wrong with one topic. It wraps ErrTopicMissing, ErrNotWritable or ErrUnreachable.
type TopicError struct {
	Topic  string
	Broker string // "" if it is not one broker's matter
	Perm   string // as mqadmin prints it: R, W or RW; "" if unknown
	Err    error
}

func (e *TopicError) Error() string {
	s := "topic " + e.Topic
	if e.Broker != "" {
		s += " on broker " + e.Broker
	}
	if e.Perm != "" {
		s += " (permission " + e.Perm + ")"
	}
	return s + ": " + e.Err.Error()
}

func (e *TopicError) Unwrap() error { return e.Err }

// A CodeError is an answer other than success to a request that this package makes on its own account.
type CodeError struct {
	Code   int
	Remark string
}

func (e *CodeError) Error() string { return fmt.Sprintf("answered %d: %s", e.Code, e.Remark) }

// ResponseCode returns the code, for whoever does not know this type.
func (e *CodeError) ResponseCode() int { return e.Code }

// unreachable marks an error of the connection as temporary.
func unreachable(err error) error {
	if errors.Is(err, ErrUnreachable) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnreachable, err)
}

// success turns any answer but code 0 into an error.
func success(cmd *remoting.Command, err error) (*remoting.Command, error) {
	if err != nil {
		return nil, unreachable(err)
	}
	if cmd.Code != codeSuccess {
		return cmd, &CodeError{Code: cmd.Code, Remark: cmd.Remark()}
	}
	return cmd, nil
}
