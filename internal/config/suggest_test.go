package config

import (
	"testing"

	"github.com/stretchr/testify/require"
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
