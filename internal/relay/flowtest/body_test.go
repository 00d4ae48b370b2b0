package flowtest

import (
	"crypto/sha256"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// A body leaves as it was inserted, byte for byte, from one byte to the broker's limit.
func TestBodyIsTheSameByteForByte(t *testing.T) {
	t.Parallel()
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	large := make([]byte, 4<<20) // random, so that nothing can be gained by compressing it
	chance := rand.New(rand.NewPCG(1, 2))
	for i := range large {
		large[i] = byte(chance.Uint32())
	}
	bodies := map[string][]byte{
		"every byte": every, "zero": {0}, "invalid UTF-8": []byte("a\xff\xfe\xc3(\xf0\x28\x8c\x28z"),
		"separators of properties": []byte("a\x01b\x02c"), "one byte": []byte("x"), "4 MiB": large,
	}
	w := newWorld(t, 2)
	for name, body := range bodies {
		_, err := w.db.Exec(t.Context(), `INSERT INTO outbox (topic, dedup_key, payload) VALUES ($1, replace($2, ' ', '_'), $3)`, w.topic, name, body)
		require.NoError(t, err)
	}
	w.start()
	w.drained()
	sums := map[[sha256.Size]byte]bool{}
	messages := w.read()
	for _, m := range messages {
		sums[sha256.Sum256(m.Body)] = true
	}
	require.Len(t, messages, len(bodies))
	for name, body := range bodies {
		require.True(t, sums[sha256.Sum256(body)], name)
	}
}
