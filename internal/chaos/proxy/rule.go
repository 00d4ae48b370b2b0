package proxy

import (
	"fmt"
	"slices"
	"time"
)

// Kind is what a request is about. An answer is of the kind of its request.
type Kind string

// Kinds of both protocols.
const (
	// Other is everything that has no kind of its own.
	Other Kind = "other"
)

// Kinds of the remoting protocol.
const (
	Half      Kind = "half"      // SEND_MESSAGE of a half message
	Send      Kind = "send"      // SEND_MESSAGE of any other
	Commit    Kind = "commit"    // END_TRANSACTION: commit, by the relay's own decision
	Rollback  Kind = "rollback"  // END_TRANSACTION: rollback, by the relay's own decision
	Check     Kind = "check"     // CHECK_TRANSACTION_STATE, a request of the broker
	CheckBack Kind = "checkback" // END_TRANSACTION that answers such a check; a request by itself, not an answer
	Pull      Kind = "pull"      // PULL_MESSAGE: reading back
	Query     Kind = "query"     // QUERY_MESSAGE: the index
	Offset    Kind = "offset"    // GET_MAX_OFFSET, GET_MIN_OFFSET
	Heartbeat Kind = "heartbeat" // HEART_BEAT
	Route     Kind = "route"     // GET_ROUTEINFO_BY_TOPIC, on a name server
)

// Kinds of PostgreSQL's protocol. A request is all that the client sends up to a
// Sync, and may be of several kinds.
const (
	Startup     Kind = "startup"     // a new session
	Cancel      Kind = "cancel"      // a cancel request, which has a connection of its own
	Decide      Kind = "decide"      // makes a decision durable: the INSERT itself, or the COMMIT after it
	Settle      Kind = "settle"      // makes a closing durable, in the same way
	Bury        Kind = "bury"        // makes a dead letter durable, in the same way
	Lease       Kind = "lease"       // makes a change of a lease durable, or reads leases
	Begin       Kind = "begin"       // begins a transaction
	Inside      Kind = "inside"      // a statement of a transaction that goes on
	EmptyCommit Kind = "emptycommit" // a COMMIT of none of the above
	Undo        Kind = "undo"        // a ROLLBACK
)

// Act is what is done to a request or an answer.
type Act string

// The acts.
const (
	// LoseRequest keeps a request from its server.
	LoseRequest Act = "lose request"
	// LoseAnswer keeps an answer from its client; the server has done what it was asked.
	LoseAnswer Act = "lose answer"
	// DelayRequest and DelayAnswer hold something back for Rule.Delay, and with it
	// what comes after it on the same connection.
	DelayRequest Act = "delay request"
	DelayAnswer  Act = "delay answer"
	// CutAfter lets a request through and resets the client's connection at once.
	CutAfter Act = "cut after"
	// Passed is no act: what [Proxy.Counts] calls a request or an answer that came through.
	PassedRequest Act = "pass request"
	PassedAnswer  Act = "pass answer"
)

// Then is what becomes of the connection after something on it was lost.
type Then string

// What may become of a connection.
const (
	// Keep goes on as if nothing had happened. PostgreSQL's protocol has no numbers
	// by which the next answer could be told from the lost one, so there it is not allowed.
	Keep Then = ""
	// Cut resets the connection.
	Cut Then = "cut"
	// HalfOpen leaves the connection open and silent in both directions for ever.
	HalfOpen Then = "half-open"
)

// A Rule is a fault. It holds until it was applied Times times or is removed.
type Rule struct {
	Act Act
	// Kinds are what it concerns; none means everything.
	Kinds []Kind
	// Chance is its probability; 0 means always.
	Chance float64
	// Times is how often it is applied at most; 0 means as often as it can be.
	Times int
	// Delay is for DelayRequest and DelayAnswer.
	Delay time.Duration
	// Then is for LoseRequest and LoseAnswer.
	Then Then
}

// concerns returns which of the kinds the rule is for.
func (r *Rule) concerns(kinds []Kind) []Kind {
	if len(r.Kinds) == 0 {
		return kinds
	}
	var met []Kind
	for _, kind := range kinds {
		if slices.Contains(r.Kinds, kind) {
			met = append(met, kind)
		}
	}
	return met
}

func (r *Rule) check(proto dialect) error {
	delays := r.Act == DelayRequest || r.Act == DelayAnswer
	loses := r.Act == LoseRequest || r.Act == LoseAnswer
	switch {
	case !delays && !loses && r.Act != CutAfter:
		return fmt.Errorf("rule: the act %q does not exist", r.Act)
	case r.Chance < 0 || r.Chance > 1:
		return fmt.Errorf("rule %s: the chance %v is not between 0 and 1", r.Act, r.Chance)
	case r.Times < 0:
		return fmt.Errorf("rule %s: %d times", r.Act, r.Times)
	case delays != (r.Delay > 0):
		return fmt.Errorf("rule %s: the delay is %s", r.Act, r.Delay)
	case !loses && r.Then != Keep:
		return fmt.Errorf("rule %s: then %s is for what is lost", r.Act, r.Then)
	case loses && r.Then == Keep && !proto.numbered:
		return fmt.Errorf("rule %s: in PostgreSQL's protocol nothing can be lost without the connection", r.Act)
	}
	for _, kind := range r.Kinds {
		if !slices.Contains(proto.kinds, kind) {
			return fmt.Errorf("rule %s: the kind %q does not exist in this protocol", r.Act, kind)
		}
	}
	return nil
}
