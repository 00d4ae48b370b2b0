package stack

import "context"

// ReadMaster reads the first n queues of a topic on the master at addr, each from its first offset to its last, in order.
// Unlike [ReadTopic] it does not go where the name server points, which may be a proxy.
func ReadMaster(ctx context.Context, addr, broker, topic string, n int) ([]Message, error) {
	var all []Message
	for queue := range n {
		messages, err := readQueue(ctx, addr, broker, topic, queue)
		if err != nil {
			return nil, err
		}
		all = append(all, messages...)
	}
	return all, nil
}

// QueueEnds returns the offsets at which the first n queues of a topic end.
func QueueEnds(ctx context.Context, addr, topic string, n int) ([]int64, error) {
	ends := make([]int64, n)
	for queue := range ends {
		var err error
		if ends[queue], err = queueOffset(ctx, addr, getMaxOffset, topic, queue); err != nil {
			return nil, err
		}
	}
	return ends, nil
}
