package endpoint

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// separator stands between a namespace and a name (NamespaceUtil.NAMESPACE_SEPARATOR).
const separator = "%"

// Names puts a namespace before the names of topics and groups on their way to RocketMQ, and takes it off on the way back.
// The zero Names leaves every name as it is.
type Names struct{ prefix string }

// NewNames returns the names of a namespace, "" for none. The error is the rule that the namespace breaks.
func NewNames(namespace string) (Names, error) {
	if namespace == "" {
		return Names{}, nil
	}
	if err := CheckNamespace(namespace); err != nil {
		return Names{}, err
	}
	return Names{prefix: namespace + separator}, nil
}

// maxNamespace leaves room for a name: RocketMQ's own limit is 127 bytes for both together (TopicValidator).
const maxNamespace = 64

// CheckNamespace returns the rule that a namespace breaks.
func CheckNamespace(namespace string) error {
	if !regexp.MustCompile(`^[|a-zA-Z0-9_-]+$`).MatchString(namespace) || len(namespace) > maxNamespace {
		return fmt.Errorf("must be 1 to %d letters, digits, |, _ or -", maxNamespace)
	}
	return nil
}

// Wire returns the name as RocketMQ knows it. A name that has the prefix keeps it, once; what belongs to RocketMQ itself
// never gets it.
func (n Names) Wire(name string) string {
	if n.prefix == "" || strings.HasPrefix(name, n.prefix) || system(name) {
		return name
	}
	return n.prefix + name
}

// Plain returns the name without the namespace.
func (n Names) Plain(name string) string { return strings.TrimPrefix(name, n.prefix) }

// system reports whether a topic or group is RocketMQ's own, which namespaces do not concern (NamespaceUtil.isSystemResource).
func system(name string) bool {
	return strings.HasPrefix(name, "rmq_sys_") || strings.HasPrefix(name, "RMQ_SYS_") || strings.HasPrefix(name, "CID_RMQ_SYS_") ||
		slices.Contains([]string{
			"TBW102", "SCHEDULE_TOPIC_XXXX", "BenchmarkTest", "OFFSET_MOVED_EVENT", "TRANS_CHECK_MAX_TIME_TOPIC",
			"SELF_TEST_TOPIC", "TOOLS_CONSUMER",
		}, name)
}
