package config

import (
	"errors"

	"github.com/outbox-relay/outbox-relay/outbox"
)

// topicNameRule returns the rule that name breaks, or "". The rules are those of the library that writes the rows: a topic
// that no row can name need not be bound.
func topicNameRule(name string) string {
	if name == "" {
		return "must not be empty"
	}
	var invalid *outbox.InvalidError
	if errors.As(outbox.Validate(outbox.Message{Topic: name, Payload: []byte("x")}), &invalid) {
		return invalid.Faults[0].Rule
	}
	return ""
}

// groupRules are those of RocketMQ 5.3 TopicValidator.validateGroup, and the groups that RocketMQ keeps for itself.
func groupRules() []rule[string] {
	return []rule[string]{
		matching(`^[%|a-zA-Z0-9_-]{1,120}$`, "1 to 120 letters, digits, %, |, _ or -"),
		notOneOf("DEFAULT_PRODUCER", "CLIENT_INNER_PRODUCER", "DEFAULT_CONSUMER", "TOOLS_CONSUMER", "FILTERSRV_CONSUMER",
			"__MONITOR_CONSUMER", "SELF_TEST_P_GROUP", "SELF_TEST_C_GROUP"),
		notPrefixed("CID_RMQ_SYS_"),
	}
}
