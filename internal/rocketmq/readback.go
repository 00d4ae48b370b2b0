package rocketmq

import (
	"context"
	"errors"
	"fmt"

	"github.com/outbox-relay/outbox-relay/internal/relay"
	"github.com/outbox-relay/outbox-relay/internal/rocketmq/remoting"
)

// readGroup is the consumer group that mqadmin reads with; every broker has it, also where groups are not created on the
// fly (MixAll.TOOLS_CONSUMER_GROUP). Reading registers nothing and commits no offset.
const readGroup = "TOOLS_CONSUMER"

// pullSize is how many messages are asked for at once; a broker returns at most 32 of them and 256 KiB by default
// (MessageStoreConfig.maxTransferCountOnMessageInMemory).
const pullSize = 64

// subscriptionInRequest says that the subscription is in the request (PullSysFlag.FLAG_SUBSCRIPTION). Without the suspend
// flag the broker answers at once.
const subscriptionInRequest = 4

// ReadBack reads one queue from an offset to its end and calls found for every UNIQ_KEY. The end is taken when the reading
// begins. An error means that nobody answered; whatever else spoils the proof is in ReadProof.Why.
func (c *Client) ReadBack(
	ctx context.Context, address string, q relay.TopicQueue, from int64, found func(uniqKey string),
) (relay.ReadProof, error) {
	r := reading{client: c, address: address, queue: q, from: from, next: from, found: found}
	err := r.run(ctx)
	var gap *gapError
	if errors.As(err, &gap) {
		return relay.ReadProof{Why: gap.why, Messages: r.messages}, nil
	}
	if err != nil {
		return relay.ReadProof{Messages: r.messages}, fmt.Errorf("read topic %s queue %d on %s: %w", q.Topic, q.Queue, address, err)
	}
	return relay.ReadProof{Complete: true, Messages: r.messages}, nil
}

// A gapError is a reason why a reading proves nothing about what it did not find.
type gapError struct{ why string }

func (e *gapError) Error() string { return e.why }

func gap(format string, args ...any) error { return &gapError{fmt.Sprintf(format, args...)} }

// A reading is one pass over a queue.
type reading struct {
	client     *Client
	address    string
	queue      relay.TopicQueue
	from, next int64
	found      func(uniqKey string)
	messages   int
}

// run reads to the end. The order matters: the start must still be there after the last message was read, or something
// before it may have been deleted unread.
func (r *reading) run(ctx context.Context) error {
	if err := r.checkMaster(ctx); err != nil {
		return err
	}
	if err := r.checkStart(ctx); err != nil {
		return err
	}
	ends, err := r.client.offsets(ctx, r.address, reqGetMaxOffset, []relay.TopicQueue{r.queue})
	if err != nil {
		return err
	}
	end := ends[0]
	if end < r.from {
		return gap("the queue ends at %d, before the start %d: it is not the queue that was written to", end, r.from)
	}
	for r.next < end {
		if err := r.pull(ctx); err != nil {
			return err
		}
	}
	if err := r.checkStart(ctx); err != nil {
		return err
	}
	return r.checkMaster(ctx)
}

// checkMaster makes sure that the address is a master's: a slave may lag.
func (r *reading) checkMaster(ctx context.Context) error {
	for _, master := range r.client.routes.addresses() {
		if master == r.address {
			return nil
		}
	}
	masters, err := r.client.servers.masters(ctx)
	if err != nil {
		return err
	}
	for _, master := range masters {
		if master == r.address {
			return nil
		}
	}
	return gap("%s is not registered as a master", r.address)
}

func (r *reading) checkStart(ctx context.Context) error {
	least, err := r.client.offsets(ctx, r.address, reqGetMinOffset, []relay.TopicQueue{r.queue})
	if err != nil {
		return err
	}
	if least[0] > r.from {
		return gap("the queue begins at %d, after the start %d: messages were deleted", least[0], r.from)
	}
	return nil
}

// pull reads the next messages. Every one must have the offset that follows the one before: what is skipped is not proven
// absent.
func (r *reading) pull(ctx context.Context) error {
	cmd, err := r.client.pull(ctx, r.address, r.queue, r.next, pullSize)
	if err != nil {
		return err
	}
	switch cmd.Code {
	case codeSuccess:
	case codePullOffsetMoved:
		return gap("the broker moved the offset %d (PULL_OFFSET_MOVED): %s", r.next, cmd.Remark())
	case codePullNotFound, codePullRetry:
		return gap("the broker has no message at offset %d, before the end (code %d): %s", r.next, cmd.Code, cmd.Remark())
	default:
		return &CodeError{Code: cmd.Code, Remark: cmd.Remark()}
	}
	before := r.next
	for rest := cmd.Body; len(rest) > 0; {
		var m storedMessage
		if m, rest, err = nextStored(rest); err != nil {
			return err
		}
		if m.queueOffset != r.next || string(m.topic) != r.client.names.Wire(r.queue.Topic) || m.queueID != r.queue.Queue {
			return gap("a message with offset %d of queue %d came where %d was due", m.queueOffset, m.queueID, r.next)
		}
		r.next++
		r.messages++
		if key := m.property("UNIQ_KEY"); key != nil {
			r.found(string(key))
		}
	}
	begin, err := cmd.ExtInt("nextBeginOffset")
	if err != nil {
		return err
	}
	if r.next == before || begin != r.next {
		return gap("the broker goes on at offset %d where %d was due", begin, r.next)
	}
	return nil
}

// pull asks for messages of a queue, without waiting for new ones.
func (c *Client) pull(ctx context.Context, address string, q relay.TopicQueue, offset int64, n int) (*remoting.Command, error) {
	cmd, err := c.brokers.Call(ctx, address, c.options.RequestTimeout, func(b *remoting.Batch) error {
		return pullRequest(b, c.names.Wire(q.Topic), q.Queue, offset, n)
	})
	if err != nil {
		return nil, unreachable(err)
	}
	return cmd, nil
}

func pullRequest(b *remoting.Batch, topic string, queue int, offset int64, n int) error {
	b.Begin(reqPullMessage)
	b.String("consumerGroup", readGroup)
	b.String("topic", topic)
	b.Int("queueId", int64(queue))
	b.Int("queueOffset", offset)
	b.Int("maxMsgNums", int64(n))
	b.Int("sysFlag", subscriptionInRequest)
	b.Int("commitOffset", 0)
	b.Int("suspendTimeoutMillis", 0)
	b.String("subscription", "*")
	b.Int("subVersion", 0)
	b.String("expressionType", "TAG")
	return b.End(nil)
}
