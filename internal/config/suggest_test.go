package config

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestClosest(t *testing.T) {
	t.Parallel()
	keys := make([]string, 0, len(Settings()))
	for _, s := range Settings() {
		keys = append(keys, s.Key)
	}
	for typed, want := range map[string]string{
		"windw": "window", "windows": "window", "Window": "window", "nameServers": "nameservers", "name_servers": "nameservers",
		"topic": "topics", "databse.url": "database.url", "database_url": "database.url", "database.url_fle": "database.url_file",
		"batch.inflight": "batch.in_flight", "retry.inital": "retry.initial", "sendtimeout": "send_timeout", "": "", "kafka.brokers": "",
		"lease": "", "x": "",
	} {
		require.Equal(t, want, closest(typed, keys), typed)
	}
}

func TestEdits(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		a, b string
		want int
	}{
		{"", "", 0},
		{"a", "", 1},
		{"", "abc", 3},
		{"abc", "abc", 0},
		{"abc", "abd", 1},
		{"abc", "ac", 1},
		{"ac", "abc", 1},
		{"kitten", "sitting", 3},
		{"flaw", "lawn", 2},
	} {
		require.Equal(t, test.want, edits(test.a, test.b), "%s %s", test.a, test.b)
		require.Equal(t, test.want, edits(test.b, test.a), "it is symmetric")
	}
}

// FuzzEdits: the distance is one between a word and the word with one byte left out.
func FuzzEdits(f *testing.F) {
	f.Add("window", 2)
	f.Fuzz(func(t *testing.T, word string, at int) {
		require.Zero(t, edits(word, word))
		if at >= 0 && at < len(word) {
			require.Equal(t, 1, edits(word, word[:at]+word[at+1:]))
		}
	})
}

// One slip of the finger, anywhere in any setting's key, and the key is recognised: or another that is as near.
func TestOneSlipIsRecognised(t *testing.T) {
	t.Parallel()
	var keys []string
	for _, s := range Settings() {
		keys = append(keys, s.Key)
	}
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.SampledFrom(keys).Draw(t, "key")
		at := rapid.IntRange(0, len(key)-1).Draw(t, "at")
		letter := rapid.StringMatching(`[a-z_.]`).Draw(t, "letter")
		typed := rapid.SampledFrom([]string{
			key[:at] + key[at+1:],          // left out
			key[:at] + letter + key[at:],   // one too many
			key[:at] + letter + key[at+1:], // another
		}).Draw(t, "typed")
		got := closest(typed, keys)
		if got == "" || edits(typed, got) > edits(typed, key) {
			t.Fatalf("%s was meant to be %s, not %q", typed, key, got)
		}
	})
}

func TestClosestOfNothing(t *testing.T) {
	t.Parallel()
	require.Empty(t, closest("window", nil))
	require.Empty(t, closest("window", []string{""}))
	require.Equal(t, "a", closest("b", []string{"c", "a"}), "of those that are equally near, always the same")
	require.Equal(t, "window", closest("window", []string{"windows", "window"}))
	require.Equal(t, "batch.in_flight", closest("batchinflght", []string{"batch.in_flight"}), "a long name may have more slips")
	require.Empty(t, closest("btch", []string{"batch.in_flight"}))
}

// A distance is never less than the difference of the lengths, never more than the longer of the two, and there is no shortcut
// over a third word.
func TestEditsIsADistance(t *testing.T) {
	t.Parallel()
	word := rapid.StringMatching(`[ab_.]{0,8}`)
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := word.Draw(t, "a"), word.Draw(t, "b"), word.Draw(t, "c")
		d := edits(a, b)
		if d < max(len(a)-len(b), len(b)-len(a)) || d > max(len(a), len(b)) || (d == 0) != (a == b) || d != edits(b, a) {
			t.Fatalf("%q to %q is %d", a, b, d)
		}
		if d > edits(a, c)+edits(c, b) {
			t.Fatalf("%q to %q is %d, over %q only %d", a, b, d, c, edits(a, c)+edits(c, b))
		}
	})
}
