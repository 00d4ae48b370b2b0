package rocketmq

import (
	"testing"

	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/relay"
)

// Our decoder reads what the official client's does, on what a real broker returns.
func TestStoredMessagesAreReadAsTheOfficialClientReadsThem(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	for i := range 5 {
		h := b.half()
		h.Body = make([]byte, 1<<(3*i))
		require.Zero(t, b.commit(b.store(h)).Code)
	}
	b.caughtUp()
	cmd, err := b.pull(t.Context(), b.address, relay.TopicQueue{Topic: b.topic}, 0, pullSize)
	require.NoError(t, err)
	theirs := primitive.DecodeMessage(cmd.Body)
	require.Len(t, theirs, 5)
	rest := cmd.Body
	for _, want := range theirs {
		var m storedMessage
		m, rest, err = nextStored(rest)
		require.NoError(t, err)
		require.Equal(t, want.Topic, string(m.topic))
		require.Equal(t, want.Queue.QueueId, m.queueID)
		require.Equal(t, want.QueueOffset, m.queueOffset)
		require.Equal(t, want.BornTimestamp, m.born.UnixMilli())
		for name, value := range want.GetProperties() {
			require.Equal(t, value, string(m.property(name)), name)
		}
		require.Nil(t, m.property("NONE"))
	}
	require.Empty(t, rest)
}

func TestStoredMessageWithLongTopicAndIPv6(t *testing.T) {
	t.Parallel()
	plain := encodeStored("t", 3, 9, "UNIQ_KEY\x01K\x02")
	// Version 2 has two bytes for the topic's length; an IPv6 address takes 12 more bytes.
	wide := append([]byte(nil), plain[:storedHostAt]...)
	wide[storedMagicAt+3] = 0xab
	wide[storedSysFlagAt+3] = bornHostV6 | storeHostV6
	wide = append(wide, make([]byte, 20+8+20+4+8)...)
	wide = append(wide, 0, 0, 0, 0, 0, 1, 't')
	wide = append(wide, plain[len(plain)-2-11:]...)
	wide[2], wide[3] = byte(len(wide)>>8), byte(len(wide))
	for _, body := range [][]byte{plain, wide} {
		m, rest, err := nextStored(body)
		require.NoError(t, err)
		require.Empty(t, rest)
		require.Equal(t, "t", string(m.topic))
		require.Equal(t, 3, m.queueID)
		require.Equal(t, int64(9), m.queueOffset)
		require.Equal(t, "K", string(m.property("UNIQ_KEY")))
	}
}

func FuzzNextStored(f *testing.F) {
	f.Add(encodeStored("t", 3, 9, "UNIQ_KEY\x01K\x02"))
	f.Add(append(encodeStored("t", 3, 9, ""), encodeStored("u", 0, 1, "a\x01b\x02")...))
	f.Add([]byte{})
	f.Add(make([]byte, 100))
	f.Fuzz(func(t *testing.T, body []byte) {
		for rest := body; len(rest) > 0; {
			m, next, err := nextStored(rest)
			if err != nil {
				require.ErrorIs(t, err, errStored)
				return
			}
			_ = m.property("UNIQ_KEY")
			require.Less(t, len(next), len(rest))
			rest = next
		}
	})
}
