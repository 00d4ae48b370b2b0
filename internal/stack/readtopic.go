package stack

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/apache/rocketmq-client-go/v2/primitive"
)

// Message is a message as it lies on its topic.
type Message struct {
	Broker string
	Queue  int
	Offset int64
	// ID is the UNIQ_KEY.
	ID         string
	Tag, Keys  string
	Properties map[string]string
	Body       []byte
	Born       time.Time
	Stored     time.Time
}

// Answers to PULL_MESSAGE (RocketMQ 5.3 ResponseCode).
const (
	found            = 0
	pullNotFound     = 19
	pullRetryAtOnce  = 20
	pullOffsetMoved  = 21
	flagSubscription = "4" // PullSysFlag.FLAG_SUBSCRIPTION: do not wait for messages, do not commit an offset
)

// ReadTopic reads a topic itself: every queue of every master from its first
// offset to its last, in order. It is the audit of what the relay claims, and
// shares no code with it.
func ReadTopic(ctx context.Context, nameServer, topic string) ([]Message, error) {
	route, err := call(ctx, nameServer, getRouteByTopic, map[string]string{"topic": topic})
	if err != nil {
		return nil, fmt.Errorf("route of topic %s: %w", topic, err)
	}
	queues, masters, err := parseRoute(route)
	if err != nil {
		return nil, fmt.Errorf("route of topic %s: %w", topic, err)
	}
	var all []Message
	for broker, n := range queues {
		for queue := range n {
			messages, err := readQueue(ctx, masters[broker], broker, topic, queue)
			if err != nil {
				return nil, err
			}
			all = append(all, messages...)
		}
	}
	return all, nil
}

// ReadTopic reads this broker's queues of a topic, like [ReadTopic], but goes to
// the broker itself: neither a name server nor a proxy is in between.
func (b *Broker) ReadTopic(ctx context.Context, topic string) ([]Message, error) {
	body, err := call(ctx, b.Addr, getTopicConfig, map[string]string{"topic": topic})
	if err != nil {
		return nil, fmt.Errorf("configuration of topic %s: %w", topic, err)
	}
	var config struct {
		ReadQueueNums *int
	}
	if err := json.Unmarshal(bareKey.ReplaceAll(body, []byte(`$1"$2":`)), &config); err != nil || config.ReadQueueNums == nil {
		return nil, fmt.Errorf("configuration of topic %s: %q: %w", topic, body, err)
	}
	var all []Message
	for queue := range *config.ReadQueueNums {
		messages, err := readQueue(ctx, b.Addr, b.Name, topic, queue)
		if err != nil {
			return nil, err
		}
		all = append(all, messages...)
	}
	return all, nil
}

// bareKey is a number used as a key, which RocketMQ's JSON does not quote.
var bareKey = regexp.MustCompile(`([{,])(\d+):`)

func parseRoute(text []byte) (queues map[string]int, masters map[string]string, err error) {
	var route struct {
		BrokerDatas []struct {
			BrokerName  string
			BrokerAddrs map[string]string
		}
		QueueDatas []struct {
			BrokerName    string
			ReadQueueNums int
		}
	}
	if err := json.Unmarshal(bareKey.ReplaceAll(text, []byte(`$1"$2":`)), &route); err != nil {
		return nil, nil, err
	}
	queues, masters = make(map[string]int), make(map[string]string)
	for _, b := range route.BrokerDatas {
		masters[b.BrokerName] = b.BrokerAddrs["0"]
	}
	for _, q := range route.QueueDatas {
		queues[q.BrokerName] = q.ReadQueueNums
	}
	return queues, masters, nil
}

func readQueue(ctx context.Context, addr, broker, topic string, queue int) ([]Message, error) {
	first, err := queueOffset(ctx, addr, getMinOffset, topic, queue)
	if err != nil {
		return nil, err
	}
	end, err := queueOffset(ctx, addr, getMaxOffset, topic, queue)
	if err != nil {
		return nil, err
	}
	var all []Message
	for offset := first; offset < end; {
		next, messages, err := pull(ctx, addr, broker, topic, queue, offset)
		if err != nil {
			return nil, fmt.Errorf("read %s/%d of %s from %d: %w", topic, queue, broker, offset, err)
		}
		all, offset = append(all, messages...), next
	}
	return all, nil
}

func queueOffset(ctx context.Context, addr string, code int, topic string, queue int) (int64, error) {
	answer, _, err := exchange(ctx, addr, code, map[string]string{"topic": topic, "queueId": strconv.Itoa(queue)})
	if err != nil {
		return 0, fmt.Errorf("offset of %s/%d: %w", topic, queue, err)
	}
	if answer.Code != found {
		return 0, fmt.Errorf("offset of %s/%d: answer %d: %s", topic, queue, answer.Code, answer.Remark)
	}
	return strconv.ParseInt(answer.ExtFields["offset"], 10, 64)
}

func pull(ctx context.Context, addr, broker, topic string, queue int, offset int64) (int64, []Message, error) {
	answer, body, err := exchange(ctx, addr, pullMessage, map[string]string{
		"consumerGroup": "audit", "topic": topic, "queueId": strconv.Itoa(queue), "queueOffset": strconv.FormatInt(offset, 10),
		"maxMsgNums": "32", "sysFlag": flagSubscription, "commitOffset": "0", "suspendTimeoutMillis": "0",
		"subscription": "*", "subVersion": "0", "expressionType": "TAG",
	})
	if err != nil {
		return 0, nil, err
	}
	next, err := strconv.ParseInt(answer.ExtFields["nextBeginOffset"], 10, 64)
	if err != nil {
		return 0, nil, fmt.Errorf("answer %d: %s", answer.Code, answer.Remark)
	}
	switch answer.Code {
	case found:
	case pullNotFound, pullRetryAtOnce, pullOffsetMoved:
		return next, nil, nil
	default:
		return 0, nil, fmt.Errorf("answer %d: %s", answer.Code, answer.Remark)
	}
	var messages []Message
	for _, m := range primitive.DecodeMessage(body) {
		messages = append(messages, Message{
			Broker: broker, Queue: queue, Offset: m.QueueOffset, ID: m.GetProperty(primitive.PropertyUniqueClientMessageIdKeyIndex),
			Tag: m.GetTags(), Keys: m.GetKeys(), Properties: m.GetProperties(), Body: m.Body,
			Born: time.UnixMilli(m.BornTimestamp), Stored: time.UnixMilli(m.StoreTimestamp),
		})
	}
	return next, messages, nil
}
