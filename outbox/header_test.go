package outbox_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/outbox"
)

func TestParseHeaders(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, text string
		want       map[string]string
		err        string
	}{
		{"none", "", nil, ""},
		{"empty object", "{}", map[string]string{}, ""},
		{"null", "null", map[string]string{}, ""},
		{"strings", `{"a":"x","b":"ü"}`, map[string]string{"a": "x", "b": "ü"}, ""},
		{"numbers keep their text", `{"i":12345678901234567890,"f":1.50}`, map[string]string{"i": "12345678901234567890", "f": "1.50"}, ""},
		{"booleans", `{"t":true,"f":false}`, map[string]string{"t": "true", "f": "false"}, ""},
		{"null is no header", `{"a":null,"b":"x"}`, map[string]string{"b": "x"}, ""},
		{"array", `["a"]`, nil, "headers must be a JSON object"},
		{"string", `"a"`, nil, "headers must be a JSON object"},
		{"not JSON", `{"a":`, nil, "headers must be a JSON object"},
		{"more than one", `{} {}`, nil, "headers must be one JSON object"},
		{"object in it", `{"a":{"secret":1}}`, nil, `headers["a"] must be a string, a number, true, false or null`},
		{"array in it", `{"a":["secret"]}`, nil, `headers["a"] must be a string, a number, true, false or null`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := outbox.ParseHeaders([]byte(tt.text))
			if tt.err != "" {
				require.EqualError(t, err, tt.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tt.want, got)
		})
	}
}

// FuzzParseHeaders holds that what one application writes as a map of strings is what the relay reads.
func FuzzParseHeaders(f *testing.F) {
	f.Add("a", "x", `{"a":1}`)
	f.Add("ü", "<&>\u2028", `{"a":[{}]}`)
	f.Fuzz(func(t *testing.T, name, value, text string) {
		_, _ = outbox.ParseHeaders([]byte(text))
		written, err := json.Marshal(map[string]string{name: value})
		require.NoError(t, err)
		read, err := outbox.ParseHeaders(written)
		require.NoError(t, err)
		require.Len(t, read, 1)
		for n, v := range read {
			again, err := json.Marshal(map[string]string{n: v})
			require.NoError(t, err)
			require.JSONEq(t, string(written), string(again))
		}
	})
}
