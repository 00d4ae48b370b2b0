package relay

import (
	"bytes"
	"compress/zlib"
	"io"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestBodiesAreCompressedIfThatMakesThemSmaller(t *testing.T) {
	t.Parallel()
	large := bytes.Repeat([]byte("again and "), 1000)
	for name, test := range map[string]struct {
		c    Compression
		body []byte
		want bool
	}{
		"off":             {Compression{}, large, false},
		"small":           {Compression{Above: 10_000, Level: 5}, large, false},
		"large":           {Compression{Above: 9_999, Level: 5}, large, true},
		"cannot be":       {Compression{Above: 2, Level: 9}, []byte("abc"), false},
		"at every effort": {Compression{Above: 1, Level: 1}, large, true},
	} {
		body, compressed, err := test.c.body(test.body)
		require.NoError(t, err)
		assert.Equal(t, test.want, compressed, name)
		if !compressed {
			assert.Equal(t, test.body, body, name)
		}
	}
	_, _, err := Compression{Above: 1, Level: 10}.body(large)
	require.ErrorContains(t, err, "at level 10")
}

func TestCompressedBodiesUnpackToWhatTheyWere(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		payload := bytes.Repeat(rapid.SliceOfN(rapid.Byte(), 1, 200).Draw(t, "part"), rapid.IntRange(1, 50).Draw(t, "times"))
		body, compressed, err := Compression{Above: 10, Level: rapid.IntRange(1, 9).Draw(t, "level")}.body(payload)
		require.NoError(t, err)
		if compressed {
			require.Less(t, len(body), len(payload))
			r, err := zlib.NewReader(bytes.NewReader(body))
			require.NoError(t, err)
			body, err = io.ReadAll(r)
			require.NoError(t, err)
		}
		require.Equal(t, payload, body)
	})
}

func TestStatusOfAnAnswer(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "13 MESSAGE_ILLEGAL", Answer{Code: 13}.status())
	assert.Equal(t, "12 FLUSH_SLAVE_TIMEOUT", Answer{Code: 12}.status())
	assert.Equal(t, "29", Answer{Code: 29}.status())
	assert.Empty(t, Answer{Err: io.EOF}.status())
}
