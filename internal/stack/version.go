package stack

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// EnvRocketMQVersion chooses the version of every server whose options do not: of
// the shared ones, and of those that tests start for themselves.
const EnvRocketMQVersion = "OUTBOX_TEST_ROCKETMQ_VERSION"

// The versions that the tests are run on. 5.5.1 is published incompletely.
const (
	RocketMQ49 = "4.9.7" // the last of 4.9
	RocketMQ51 = "5.1.4" // the first with the fence
	RocketMQ55 = "5.5.0" // the newest
)

// RocketMQVersion is the version of servers whose options name none.
func RocketMQVersion() string { return Options{}.rocketMQVersion() }

// Feature is something of RocketMQ that only some versions have.
type Feature string

// The features that tests depend on.
const (
	// Fence: a commit after the window of CHECK_IMMUNITY_TIME_IN_SECONDS is refused with 604.
	Fence Feature = "the fence"
	// MessageTypes: topics have the attribute message.type.
	MessageTypes Feature = "message.type"
	// InSyncReplicas: inSyncReplicas says how many must have a message; SYNC_MASTER alone waits for nobody.
	InSyncReplicas Feature = "inSyncReplicas"
	// AdjustableChecks: what the check service does can be made fast enough for a test (transactionOpBatchInterval).
	AdjustableChecks Feature = "transactionOpBatchInterval"
	// Timers: messages are delivered at a time, not only after one of 18 delays.
	Timers Feature = "timer messages"
	// ACL2: authentication and authorization by ACL 2.0.
	ACL2 Feature = "ACL 2.0"
	// Proxy: the proxy, with its own port for remoting clients.
	Proxy Feature = "the proxy's remoting port"
)

// since is the first version with a feature, and what it is like before.
type since struct{ version, before string }

func features() map[Feature]since {
	return map[Feature]since{
		Fence:            {RocketMQ51, "it accepts a commit however late it comes"},
		MessageTypes:     {"5.0.0", "topics have no attributes"},
		InSyncReplicas:   {"5.0.0", "a SYNC_MASTER waits for one slave, and answers SLAVE_NOT_AVAILABLE without one"},
		AdjustableChecks: {"5.1.0", "how it remembers finished transactions cannot be set"},
		Timers:           {"5.0.0", "a message can only be delayed by one of 18 levels"},
		ACL2:             {"5.3.0", "it has ACL 1.0"},
		Proxy:            {DefaultRocketMQVersion, "its jar is not published for every version before"},
	}
}

// Features lists every feature.
func Features() []Feature {
	var all []Feature
	for f := range features() {
		all = append(all, f)
	}
	slices.Sort(all)
	return all
}

// Missing says why a version has not got the feature; "" if it has.
func (f Feature) Missing(version string) string {
	s, known := features()[f]
	if !known {
		return fmt.Sprintf("nobody knows the feature %q", f)
	}
	if !older(version, s.version) {
		return ""
	}
	return fmt.Sprintf("RocketMQ %s has not got %s, which came with %s: %s", version, f, s.version, s.before)
}

// older compares versions of numbers and dots.
func older(a, b string) bool {
	return slices.Compare(numbers(a), numbers(b)) < 0
}

func numbers(version string) []int {
	parts := strings.Split(version, ".")
	ns := make([]int, len(parts))
	for i, part := range parts {
		ns[i], _ = strconv.Atoi(part) // 0 for what is no number
	}
	return ns
}
