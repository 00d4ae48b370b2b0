package rocketmq

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/tidwall/gjson"

	"github.com/outbox-relay/outbox-relay/internal/relay"
	"github.com/outbox-relay/outbox-relay/internal/rocketmq/remoting"
)

// A TopicReport is what CheckTopic found out.
type TopicReport struct {
	Topic string
	// MessageType is the attribute message.type: TRANSACTION, NORMAL, FIFO or DELAY; "" if the brokers do not say. Brokers do
	// not enforce it, proxies do.
	MessageType string
	// NotExact are the reasons why a doubtful commit on this topic could not be decided by reading it back; nil if there are
	// none.
	NotExact []string
}

// CheckTopic looks whether a doubtful commit on the topic could be decided by reading: the right to read every queue, and no
// compacted or static topic. What the broker does not let us ask is no reason against it. An error means that somebody did
// not answer: try again later.
func (c *Client) CheckTopic(ctx context.Context, topic string) (TopicReport, error) {
	report := TopicReport{Topic: topic}
	route, err := c.servers.route(ctx, topic)
	if err != nil {
		return report, &TopicError{Topic: topic, Err: err}
	}
	if route.static {
		report.refuse("it is a static topic: its queues move between brokers")
	}
	for _, q := range route.queues {
		address := route.masters[q.broker]
		if address == "" || q.perm&permWrite == 0 {
			continue
		}
		if q.perm&permRead == 0 || q.read < q.write {
			report.refuse(fmt.Sprintf("broker %s lets us write %d queues and read %d (permission %s)",
				q.broker, q.write, q.read, permText(q.perm)))
			continue
		}
		if err := c.checkOn(ctx, address, q, &report); err != nil {
			return report, &TopicError{Topic: topic, Broker: q.broker, Err: err}
		}
	}
	return report, nil
}

func (r *TopicReport) refuse(why string) {
	if !slices.Contains(r.NotExact, why) {
		r.NotExact = append(r.NotExact, why)
	}
}

// checkOn looks at the topic on one master.
func (c *Client) checkOn(ctx context.Context, address string, q queueData, report *TopicReport) error {
	attributes, err := c.topicAttributes(ctx, address, report.Topic)
	if err != nil {
		return err
	}
	if t := attributes["message.type"]; t != "" {
		report.MessageType = t
	}
	if attributes["cleanup.policy"] == "COMPACTION" {
		report.refuse("it is a compacted topic (cleanup.policy COMPACTION): messages disappear from its queues")
	}
	if t := attributes["queue.type"]; t != "" && t != "SimpleCQ" {
		report.refuse("its queue.type is " + t + ": offsets do not count messages")
	}
	for id := range q.write {
		if err := c.checkReadable(ctx, address, relay.TopicQueue{Topic: report.Topic, Queue: id}, q.broker, report); err != nil {
			return err
		}
	}
	return nil
}

// topicAttributes asks for the topic's attributes; nil if this broker does not know the request or does not let us ask.
func (c *Client) topicAttributes(ctx context.Context, address, topic string) (map[string]string, error) {
	cmd, err := success(c.brokers.Call(ctx, address, c.options.RequestTimeout, func(b *remoting.Batch) error {
		b.Begin(reqTopicConfig)
		b.String("topic", c.names.Wire(topic))
		return b.End(nil)
	}))
	var code *CodeError
	if errors.As(err, &code) {
		return nil, nil //nolint:nilnil // Not being told is no error.
	}
	if err != nil {
		return nil, err
	}
	root, err := parseFastjson(cmd.Body)
	if err != nil {
		return nil, fmt.Errorf("configuration of topic %s: %w", topic, err)
	}
	attributes := make(map[string]string)
	root.Get("attributes").ForEach(func(k, v gjson.Result) bool {
		attributes[k.String()] = v.String()
		return true
	})
	return attributes, nil
}

// checkReadable pulls from the queue's beginning. That it is empty, or that nothing is there any more, is an answer too.
func (c *Client) checkReadable(ctx context.Context, address string, q relay.TopicQueue, broker string, report *TopicReport) error {
	cmd, err := c.pull(ctx, address, q, 0, 1)
	if err != nil {
		return err
	}
	switch cmd.Code {
	case codeSuccess, codePullNotFound, codePullRetry, codePullOffsetMoved:
	default:
		report.refuse(fmt.Sprintf("broker %s does not let us read it: answered %d: %s", broker, cmd.Code, cmd.Remark()))
	}
	return nil
}

// masterNames returns the brokers of the bound topics that have a master, in order.
func (c *Client) masterNames() ([]string, map[string]string) {
	masters := c.routes.addresses()
	return slices.Sorted(maps.Keys(masters)), masters
}
