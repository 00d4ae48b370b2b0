package stack

import (
	"context"
	"fmt"
	"strconv"
)

// Set changes settings of a running broker, as mqadmin updateBrokerConfig does, in
// milliseconds instead of seconds. They are kept over a restart.
func (b *Broker) Set(ctx context.Context, settings map[string]string) error {
	answer, _, err := exchangeWith(ctx, b.Addr, updateBrokerConfig, nil, []byte(propertyLines(settings)))
	if err == nil && answer.Code != 0 {
		err = fmt.Errorf("answer %d: %s", answer.Code, answer.Remark)
	}
	if err != nil {
		return fmt.Errorf("change settings of %s: %w", b.Name, err)
	}
	return nil
}

// Permissions of a topic or a broker (RocketMQ 5.3 PermName).
const (
	ReadOnly     = 4
	ReadAndWrite = 6
)

// SetTopic changes how many queues a topic has on this broker, and what may be
// done with it. Name servers hear of it at once.
func (b *Broker) SetTopic(ctx context.Context, name string, queues, permission int) error {
	fields := topicFields(Topic{Name: name, Queues: queues})
	fields["perm"] = strconv.Itoa(permission)
	if _, err := call(ctx, b.Addr, updateAndCreateTopic, fields); err != nil {
		return fmt.Errorf("change topic %s: %w", name, err)
	}
	return nil
}

// DeleteTopic deletes a topic and its messages from this broker, and from the name
// server, as mqadmin deleteTopic does.
func (b *Broker) DeleteTopic(ctx context.Context, name string) error {
	fields := map[string]string{"topic": name}
	if _, err := call(ctx, b.Addr, deleteTopic, fields); err != nil {
		return fmt.Errorf("delete topic %s: %w", name, err)
	}
	if _, err := call(ctx, b.nameServer, deleteTopicRoute, fields); err != nil {
		return fmt.Errorf("delete the route of topic %s: %w", name, err)
	}
	return nil
}
