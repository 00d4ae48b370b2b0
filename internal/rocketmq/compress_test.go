package rocketmq

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/relay"
)

// The broker keeps what a half's sysFlag says of its body when it is committed, and stores the body as it came.
func TestCommittedMessageStaysCompressed(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	original := []byte(strings.Repeat("a body that repeats itself; ", 1000))
	var packed bytes.Buffer
	w := zlib.NewWriter(&packed)
	_, err := w.Write(original)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	h := b.half()
	h.Body, h.Compressed = packed.Bytes(), true
	require.Zero(t, b.commit(b.store(h)).Code)
	b.caughtUp()
	cmd, err := b.pull(t.Context(), b.address, relay.TopicQueue{Topic: b.topic, Queue: 0}, 0, 1)
	require.NoError(t, err)
	flag := binary.BigEndian.Uint32(cmd.Body[storedSysFlagAt:])
	require.Equal(t, uint32(flagCompressed|flagZlib), flag&(flagCompressed|7<<8))
	require.Equal(t, uint32(8), flag&12, "and that it was committed")
	require.True(t, bytes.Contains(cmd.Body, packed.Bytes()))
	require.True(t, bytes.Equal(original, primitive.DecodeMessage(cmd.Body)[0].Body), "the official client unpacks it")
}
