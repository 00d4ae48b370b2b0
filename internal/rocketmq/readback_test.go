package rocketmq

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/relay"
	"github.com/outbox-relay/outbox-relay/internal/rocketmq/fakemq"
)

// read reads queue 0 of the bench's topic.
func (b *bench) read(from int64) (relay.ReadProof, []string) {
	b.t.Helper()
	var keys []string
	proof, err := b.ReadBack(b.t.Context(), b.address, relay.TopicQueue{Topic: b.topic}, from, func(k string) { keys = append(keys, k) })
	require.NoError(b.t, err)
	return proof, keys
}

func (b *bench) publish(n int) []string {
	b.t.Helper()
	keys := make([]string, n)
	for i := range keys {
		h := b.half()
		keys[i] = h.UniqKey
		require.Zero(b.t, b.commit(b.store(h)).Code)
	}
	b.caughtUp()
	return keys
}

func TestReadingFindsWhatIsThereAndProvesWhatIsNot(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	proof, keys := b.read(0)
	require.Equal(t, relay.ReadProof{Complete: true}, proof, "an empty queue proves absence")
	require.Empty(t, keys)

	want := b.publish(100) // more than a broker returns at once
	proof, keys = b.read(0)
	require.Equal(t, relay.ReadProof{Complete: true, Messages: 100}, proof)
	require.Equal(t, want, keys)
	proof, keys = b.read(90)
	require.Equal(t, relay.ReadProof{Complete: true, Messages: 10}, proof)
	require.Equal(t, want[90:], keys)
	proof, keys = b.read(100)
	require.Equal(t, relay.ReadProof{Complete: true}, proof)
	require.Empty(t, keys)
}

func TestReadingFromBeyondTheEndProvesNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	b.publish(1)
	proof, _ := b.read(2)
	require.False(t, proof.Complete)
	require.Contains(t, proof.Why, "before the start 2")
}

func TestReadingWhatIsNoMasterProvesNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	proof, err := b.ReadBack(t.Context(), "127.0.0.1:1", relay.TopicQueue{Topic: b.topic}, 0, nil)
	require.NoError(t, err)
	require.False(t, proof.Complete)
	require.Contains(t, proof.Why, "not registered as a master")
}

func TestOffsets(t *testing.T) {
	t.Parallel()
	b := newBench(t, 2)
	queues := []relay.TopicQueue{{Topic: b.topic, Queue: 0}, {Topic: b.topic, Queue: 1}}
	b.publish(3)
	ends, err := b.MaxOffsets(t.Context(), b.address, queues)
	require.NoError(t, err)
	require.Equal(t, []int64{3, 0}, ends)
	ends, err = b.MaxOffsets(t.Context(), b.address, nil)
	require.NoError(t, err)
	require.Empty(t, ends)
	_, err = b.MaxOffsets(t.Context(), "127.0.0.1:1", queues)
	require.ErrorIs(t, err, ErrUnreachable)
	ok, err := b.Dispatched(t.Context(), b.address, 1<<40)
	require.NoError(t, err)
	require.False(t, ok)
}

func TestLookupFindsByTopicAndWholeKey(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	key := b.publish(1)[0]
	require.Eventually(t, func() bool {
		found, err := b.Lookup(t.Context(), b.address, b.topic, key)
		require.NoError(t, err)
		return found
	}, soon, 1e6)
	for _, c := range [][2]string{{b.topic, uniqKey()}, {b.topic, key[:31]}, {b.topic, "business-2"}, {"other", key}} {
		found, err := b.Lookup(t.Context(), b.address, c[0], c[1])
		require.NoError(t, err)
		require.False(t, found, c)
	}
	_, err := b.Lookup(t.Context(), "127.0.0.1:1", b.topic, key)
	require.ErrorIs(t, err, ErrUnreachable)
}

// A half that is pending or rolled back is not on its topic, and the index does not say so either.
func TestLookupDoesNotFindHalves(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	h := b.half()
	b.store(h)
	b.publish(1)
	found, err := b.Lookup(t.Context(), b.address, b.topic, h.UniqKey)
	require.NoError(t, err)
	require.False(t, found)
}

// scriptedQueue is a queue that a fake broker serves.
type scriptedQueue struct {
	mu       sync.Mutex
	min, max int64
	pull     func(offset int64) fakemq.Reply
}

func (q *scriptedQueue) serve(s *fakemq.Server) {
	offset := func(v *int64) fakemq.Handler {
		return func(fakemq.Request) fakemq.Reply {
			q.mu.Lock()
			defer q.mu.Unlock()
			return fakemq.Reply{Fields: map[string]string{"offset": strconv.FormatInt(*v, 10)}}
		}
	}
	s.Handle(fakemq.MinOffset, offset(&q.min))
	s.Handle(fakemq.MaxOffset, offset(&q.max))
	s.Handle(reqPullMessage, func(r fakemq.Request) fakemq.Reply {
		at, _ := strconv.ParseInt(r.Field("queueOffset"), 10, 64)
		return q.pull(at)
	})
}

// encodeStored is a message as a broker stores it.
func encodeStored(topic string, queue int, offset int64, properties string) []byte {
	b := make([]byte, 4)
	u32 := func(v uint32) { b = binary.BigEndian.AppendUint32(b, v) }
	u64 := func(v uint64) { b = binary.BigEndian.AppendUint64(b, v) }
	u32(0xdaa320a7)
	u32(0) // crc
	u32(uint32(queue))
	u32(0) // flag
	u64(uint64(offset))
	u64(4711) // log offset
	u32(0)    // sysFlag
	u64(1)    // born
	u64(2)    // born host
	u64(3)    // stored
	u64(4)    // store host
	u32(0)    // reconsumed
	u64(5)    // prepared
	u32(4)
	b = append(b, "body"...)
	b = append(append(b, byte(len(topic))), topic...)
	b = append(binary.BigEndian.AppendUint16(b, uint16(len(properties))), properties...)
	binary.BigEndian.PutUint32(b, uint32(len(b)))
	return b
}

func found(next int64, messages ...[]byte) fakemq.Reply {
	r := fakemq.Reply{Fields: map[string]string{"nextBeginOffset": strconv.FormatInt(next, 10)}}
	for _, m := range messages {
		r.Body = append(r.Body, m...)
	}
	return r
}

func message(offset int64) []byte {
	return encodeStored("t", 1, offset, fmt.Sprintf("TAGS\x01x\x02UNIQ_KEY\x01K%d\x02", offset))
}

// Each way in which a reading can fall short of a proof, which a healthy broker does not show.
func TestReadingsThatProveNothing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		min, max int64
		pull     func(q *scriptedQueue, at int64) fakemq.Reply
		why      string
		messages int
	}{
		"trimmed before": {
			min: 11, max: 20,
			pull: func(_ *scriptedQueue, at int64) fakemq.Reply { return found(at+1, message(at)) }, why: "after the start 10",
		},
		"trimmed while it was read": {
			max: 12,
			pull: func(q *scriptedQueue, at int64) fakemq.Reply {
				q.mu.Lock()
				defer q.mu.Unlock()
				q.min = 11
				return found(at+1, message(at))
			},
			why: "begins at 11", messages: 2,
		},
		"moved": {
			max:  12,
			pull: func(*scriptedQueue, int64) fakemq.Reply { return fakemq.Reply{Code: 21, Remark: "gone"} }, why: "PULL_OFFSET_MOVED",
		},
		"nothing before the end": {
			max:  12,
			pull: func(*scriptedQueue, int64) fakemq.Reply { return fakemq.Reply{Code: 19} }, why: "no message at offset 10",
		},
		"being removed": {
			max:  12,
			pull: func(*scriptedQueue, int64) fakemq.Reply { return fakemq.Reply{Code: 20} }, why: "code 20",
		},
		"gap": {
			max: 13,
			pull: func(*scriptedQueue, int64) fakemq.Reply {
				return found(13, message(10), message(12))
			},
			why: "offset 12 of queue 1 came where 11 was due", messages: 1,
		},
		"skips ahead": {
			max:  13,
			pull: func(_ *scriptedQueue, at int64) fakemq.Reply { return found(at+2, message(at)) }, why: "goes on at offset 12", messages: 1,
		},
		"stands still": {
			max:  13,
			pull: func(_ *scriptedQueue, at int64) fakemq.Reply { return found(at) }, why: "goes on at offset 10",
		},
		"other queue": {
			max: 13,
			pull: func(_ *scriptedQueue, at int64) fakemq.Reply {
				return found(at+1, encodeStored("t", 0, at, ""))
			},
			why: "of queue 0",
		},
		"other topic": {
			max: 13,
			pull: func(_ *scriptedQueue, at int64) fakemq.Reply {
				return found(at+1, encodeStored("u", 1, at, ""))
			},
			why: "was due",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, s := fakeClient(t)
			q := &scriptedQueue{min: c.min, max: c.max}
			q.pull = func(at int64) fakemq.Reply { return c.pull(q, at) }
			q.serve(s)
			var keys []string
			proof, err := client.ReadBack(t.Context(), s.Address(), relay.TopicQueue{Topic: "t", Queue: 1}, 10, func(k string) { keys = append(keys, k) })
			require.NoError(t, err)
			require.False(t, proof.Complete)
			require.Contains(t, proof.Why, c.why)
			require.Equal(t, c.messages, proof.Messages)
			require.Len(t, keys, c.messages)
		})
	}
}

func TestReadingThatIsNotAnswered(t *testing.T) {
	t.Parallel()
	for name, reply := range map[string]fakemq.Reply{
		"hangup":      {Hangup: true},
		"code":        {Code: 2, Remark: "busy"},
		"malformed":   {Body: []byte("no message"), Fields: map[string]string{"nextBeginOffset": "11"}},
		"no next":     {Body: message(10)},
		"no such key": {Body: message(10), Fields: map[string]string{"nextBeginOffset": "x"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, s := fakeClient(t)
			q := &scriptedQueue{max: 12, pull: func(int64) fakemq.Reply { return reply }}
			q.serve(s)
			proof, err := client.ReadBack(t.Context(), s.Address(), relay.TopicQueue{Topic: "t", Queue: 1}, 10, func(string) {})
			require.Error(t, err)
			require.False(t, proof.Complete)
		})
	}
}

// What comes after the end that was taken at the beginning may be read along; it is not waited for.
func TestReadingEndsWhereTheQueueEndedAtItsBeginning(t *testing.T) {
	t.Parallel()
	client, s := fakeClient(t)
	q := &scriptedQueue{max: 12}
	q.pull = func(at int64) fakemq.Reply {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.max += 100
		return found(at+3, message(at), message(at+1), message(at+2))
	}
	q.serve(s)
	var keys []string
	proof, err := client.ReadBack(t.Context(), s.Address(), relay.TopicQueue{Topic: "t", Queue: 1}, 10, func(k string) { keys = append(keys, k) })
	require.NoError(t, err)
	require.Equal(t, relay.ReadProof{Complete: true, Messages: 3}, proof)
	require.Equal(t, []string{"K10", "K11", "K12"}, keys)
}
