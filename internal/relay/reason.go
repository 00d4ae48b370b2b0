package relay

// A Reason is why something did not go through. The set is closed: it is the value of the reason label of every metric, of
// outbox_dead.reason, and of the reason attribute in logs.
type Reason string

// The reasons.
const (
	// The row's own faults: it goes to the dead letters.
	ReasonBodyEmpty      Reason = "body_empty"      // RocketMQ refuses an empty body
	ReasonBodyTooLarge   Reason = "body_too_large"  // over the broker's maxMessageSize
	ReasonBadProperties  Reason = "bad_properties"  // tag, keys, headers or dedup key break a rule of RocketMQ
	ReasonBadHeaders     Reason = "bad_headers"     // headers is not a JSON object of scalars
	ReasonNotAllowed     Reason = "not_allowed"     // the topic's type does not allow what the row asks for
	ReasonMessageIllegal Reason = "message_illegal" // the broker answered 13

	// Stored, but perhaps not safely: the row is retried with backoff.
	ReasonFlushDiskTimeout  Reason = "flush_disk_timeout"  // send status 10
	ReasonFlushSlaveTimeout Reason = "flush_slave_timeout" // send status 12

	// The broker's or the topic's state: rows are kept and the topic on that broker is paused.
	ReasonSlaveNotAvailable  Reason = "slave_not_available" // send status 11
	ReasonNotInSync          Reason = "not_in_sync"         // 1 "in-sync replicas not enough"
	ReasonBusy               Reason = "busy"                // 2
	ReasonFlowControl        Reason = "flow_control"        // 215
	ReasonServiceUnavailable Reason = "service_unavailable" // 14
	ReasonNoPermission       Reason = "no_permission"       // 16
	ReasonTopicMissing       Reason = "topic_missing"       // 17
	ReasonBrokerRefused      Reason = "broker_refused"      // any other code

	// Nothing went wrong: it is too early.
	ReasonNotDue Reason = "not_due" // deliver_at is further ahead than the broker delays messages

	// No answer.
	ReasonUnreachable Reason = "unreachable" // never written to the socket
	ReasonTimeout     Reason = "timeout"     // written, no answer in time
	ReasonLost        Reason = "lost"        // written, connection lost before the answer

	// Commits only.
	ReasonLate        Reason = "late"         // answered 0 after commit_timeout: may hide a flush timeout
	ReasonWindowOver  Reason = "window_over"  // 604, or the window ended before the commit was sent
	ReasonHalfGone    Reason = "half_gone"    // 1 with "Find prepared…": the half has left the log
	ReasonPredecessor Reason = "predecessor"  // an earlier row of the key did not get through
	ReasonSessionOver Reason = "session_over" // the session ended before the commit was sent
	ReasonRowGone     Reason = "row_gone"     // the row was deleted by someone else before the decision
)

// Reasons lists every reason, for metrics that create their labels in advance.
func Reasons() []Reason {
	return []Reason{
		ReasonBodyEmpty, ReasonBodyTooLarge, ReasonBadProperties, ReasonBadHeaders, ReasonNotAllowed, ReasonMessageIllegal,
		ReasonFlushDiskTimeout, ReasonFlushSlaveTimeout,
		ReasonSlaveNotAvailable, ReasonNotInSync, ReasonBusy, ReasonFlowControl, ReasonServiceUnavailable, ReasonNoPermission, ReasonTopicMissing,
		ReasonBrokerRefused, ReasonNotDue,
		ReasonUnreachable, ReasonTimeout, ReasonLost,
		ReasonLate, ReasonWindowOver, ReasonHalfGone, ReasonPredecessor, ReasonSessionOver, ReasonRowGone,
	}
}
