package stack

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// Topic is a topic to create.
type Topic struct {
	Name string
	// Queues is the number of queues to read and to write.
	Queues int
	// MessageType is TRANSACTION, NORMAL, FIFO or DELAY; empty leaves it unsaid.
	MessageType string
}

// CreateTopic creates a topic on the broker at the address broker and returns
// when the name server sends clients there. It speaks to the broker itself
// because that takes 10 ms and mqadmin takes seconds.
func CreateTopic(ctx context.Context, nameServer, broker string, topic Topic) error {
	fields := topicFields(topic)
	if _, err := call(ctx, broker, updateAndCreateTopic, fields); err != nil {
		return fmt.Errorf("create topic %s: %w", topic.Name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		_, err := call(ctx, nameServer, getRouteByTopic, map[string]string{"topic": topic.Name})
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the route of topic %s: %w", topic.Name, err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// topicFields are those of UPDATE_AND_CREATE_TOPIC.
func topicFields(topic Topic) map[string]string {
	fields := map[string]string{
		"topic":           topic.Name,
		"defaultTopic":    "TBW102",
		"readQueueNums":   strconv.Itoa(topic.Queues),
		"writeQueueNums":  strconv.Itoa(topic.Queues),
		"perm":            strconv.Itoa(ReadAndWrite),
		"topicFilterType": "SINGLE_TAG",
		"topicSysFlag":    "0",
		"order":           "false",
	}
	if topic.MessageType != "" {
		fields["attributes"] = "+message.type=" + topic.MessageType
	}
	return fields
}
