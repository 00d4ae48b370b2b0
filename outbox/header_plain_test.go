package outbox

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Whatever the short way reads, the long one reads the same.
func TestPlainHeadersAgainstTheDecoder(t *testing.T) {
	t.Parallel()
	for text, plain := range map[string]bool{
		`{"a": "b"}`: true, `{"a":"b","c": "d" , "a" : "e"}`: true, `{"ü": ""}`: true, `{}`: false, ``: false, `{"a": "b"`: false, `{"a": "b"} `: false,
		`{"a": "b",}`: false, `{"a": 1}`: false, `{"a": "\n"}`: false, "{\"a\": \"\n\"}": false, "{\"a\": \"\xff\"}": false, `["a"]`: false, `{"a" "b"}`: false, `{"a`: false,
	} {
		_, ok := plainHeaders(text)
		require.Equal(t, plain, ok, text)
	}
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`\{("[a-zü\\"{}:, ]{0,6}" ?: ?("[a-zü\\"{}:,]{0,6}"|1|null|\{\}),? ?){0,4}\}?`).Draw(t, "text")
		headers, ok := plainHeaders(text)
		if !ok {
			return
		}
		var want map[string]string
		require.NoError(t, json.Unmarshal([]byte(text), &want), text)
		require.Equal(t, want, headers, text)
	})
}
