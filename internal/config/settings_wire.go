package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/outbox-relay/outbox-relay/internal/endpoint"
)

// What access_channel can be.
const (
	ChannelLocal = "local"
	ChannelCloud = "cloud"
)

// DefaultTraceTopic is where brokers with traceTopicEnable take message traces.
const DefaultTraceTopic = "RMQ_SYS_TRACE_TOPIC"

// Trace says whether RocketMQ's message trace is written, and where to.
type Trace struct {
	Enabled bool
	Topic   string // ignored with ChannelCloud
}

func wireSettings() []Setting {
	return []Setting{
		define(Setting{
			Key: "namespace", DefaultNote: "the instance that an ApsaraMQ 4.x endpoint names, else none",
			Doc: "The namespace that topics and the group belong to: RocketMQ knows them as namespace%topic. Names that are written with the " +
				"prefix do not get it again. Tables, metrics and logs show names as `topics` has them. For ApsaraMQ 4.x it is the instance " +
				"(MQ_INST_…) and comes from the endpoint; for ApsaraMQ 5.x there is none.",
		}, text(), func(c *Config) *string { return &c.Namespace }, namespaceRule()),
		define(Setting{
			Key: "producers", Default: "1",
			Doc: "Producers that this relay registers in the group, each with a client id of its own. They answer check-backs and send no " +
				"message: one is enough. More answer more check-backs at a time; throughput comes from `connections`.",
		}, integer(), func(c *Config) *int { return &c.Producers }, fewProducers()),
		define(Setting{
			Key: "access_channel", Default: ChannelLocal,
			Doc: "Where message traces go: local is a topic of this cluster, cloud is ApsaraMQ, where the topic is that of the broker's region " +
				"(rmq_sys_TRACE_DATA_<region>).",
		}, text(), func(c *Config) *string { return &c.AccessChannel }, oneOf(ChannelLocal, ChannelCloud)),
		define(Setting{
			Key: "trace.enabled", Default: "false",
			Doc: "Write RocketMQ's message trace (`mqadmin queryMsgTraceById`, the dashboard, ApsaraMQ's console). Needs traceTopicEnable=true " +
				"on the brokers, and the right to publish to the topic. It never holds up a message: what cannot be written is dropped and " +
				"counted. It costs one more message for about 100.",
		}, boolean(), func(c *Config) *bool { return &c.Trace.Enabled }),
		define(Setting{
			Key: "trace.topic", Default: DefaultTraceTopic,
			Doc: "The topic of message traces. Leave it out with `access_channel` cloud.",
		}, text(), func(c *Config) *string { return &c.Trace.Topic },
			rule[string]{text: "a topic's name", ok: func(s string) bool { return s == DefaultTraceTopic || topicNameRule(s) == "" }}),
		define(Setting{
			Key: "log.sends", Default: "false",
			Doc: "Log one line for each attempt to publish a row, sent or not: ids, topic, queue, outcome and time, never the payload. At " +
				"thousands of rows a second the log costs more than the sending.",
		}, boolean(), func(c *Config) *bool { return &c.Log.Sends }),
	}
}

// fewProducers is RocketMQ's advice for producers: few in a process, each shared by everything in it.
func fewProducers() rule[int] {
	return rule[int]{
		text: "1 to 5, because each is a client of every broker, and more bring nothing",
		ok:   func(n int) bool { return n >= 1 && n <= 5 },
	}
}

func boolean() kind[bool] {
	return scalar("boolean", "true or false", strconv.ParseBool, strconv.FormatBool)
}

func namespaceRule() rule[string] {
	return rule[string]{
		text: "1 to 64 letters, digits, |, _ or -, without the % that follows it",
		ok:   func(s string) bool { return s == "" || endpoint.CheckNamespace(s) == nil },
	}
}

// deriveNamespace takes the namespace from an endpoint of ApsaraMQ 4.x, as RocketMQ's own clients do.
func (c *Config) deriveNamespace() {
	if names := instances(c.NameServers); c.Namespace == "" && len(names) == 1 {
		c.Namespace = names[0]
	}
}

// instances returns the different instances that endpoints name.
func instances(servers []string) []string {
	var names []string
	for _, server := range servers {
		if name := endpoint.Namespace(server); name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

func wireRelations() []relation {
	return []relation{
		{
			keys: []string{"nameservers"}, text: "%s must be of one ApsaraMQ instance: the namespace is that of the instance",
			ok: func(c *Config) bool { return len(instances(c.NameServers)) <= 1 },
		},
		{
			keys: []string{"namespace", "nameservers"}, text: "%s must be the instance that %s names, or be left out",
			ok: func(c *Config) bool {
				names := instances(c.NameServers)
				return len(names) != 1 || c.Namespace == "" || c.Namespace == names[0]
			},
		},
		{
			keys: []string{"namespace", "nameservers"},
			text: "%s must be left out with an ApsaraMQ 5.x endpoint (%s): topics and groups have no prefix there",
			ok: func(c *Config) bool {
				return c.Namespace == "" || !slices.ContainsFunc(c.NameServers, endpoint.Version5)
			},
		},
		{
			keys: []string{"topics", "namespace"}, text: "%s must be at most 127 bytes each with the prefix of %s",
			ok: func(c *Config) bool {
				names, err := endpoint.NewNames(c.Namespace)
				return err != nil || !slices.ContainsFunc(c.Topics, func(t Topic) bool { return len(names.Wire(t.Name)) > 127 })
			},
		},
	}
}

// wireWarnings returns what is allowed but probably not meant.
func wireWarnings(c *Config) []string {
	var ws []string
	if c.AccessChannel == ChannelCloud && c.Trace.Topic != DefaultTraceTopic {
		ws = append(ws, fmt.Sprintf("trace.topic (%s) has no effect with access_channel cloud: the topic is that of the broker's region",
			c.Trace.Topic))
	}
	for _, t := range c.Topics {
		if c.Namespace != "" && strings.HasPrefix(t.Name, c.Namespace+"%") {
			ws = append(ws, fmt.Sprintf("topic %s is written with its namespace: only rows that write it so are for it", t.Name))
		}
	}
	return ws
}
