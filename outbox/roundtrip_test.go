package outbox_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/outbox-relay/outbox-relay/outbox"
)

// TestWriteAndReadBack writes random messages and reads them as the relay does: what comes out is what went in, and is
// valid once more.
func TestWriteAndReadBack(t *testing.T) {
	t.Parallel()
	config, schema := newSchema(t, "rapid_")
	admin := connect(t, config)
	rapid.Check(t, func(rt *rapid.T) {
		messages := rapid.SliceOfN(rapid.Custom(drawMessage), 1, 5).Draw(rt, "messages")
		_, err := admin.Exec(t.Context(), "TRUNCATE outbox")
		require.NoError(rt, err)
		write := rapid.SampledFrom(ways()).Draw(rt, "way").write
		require.NoError(rt, write(t.Context(), config, outbox.Writer{}, messages...))

		rows := readAll(t, config, schema)
		require.Len(rt, rows, len(messages))
		for i, row := range rows {
			got := readAsRelay(rt, row)
			require.Equal(rt, messages[i], got)
			require.NoError(rt, outbox.Validate(got))
		}
	})
}

func readAsRelay(rt *rapid.T, row stored) outbox.Message {
	m := outbox.Message{Topic: row.Topic, Payload: row.Payload}
	for column, field := range map[*string]*string{row.Tag: &m.Tag, row.OrderingKey: &m.OrderingKey, row.DedupKey: &m.DedupKey} {
		if column != nil {
			*field = *column
		}
	}
	if row.Keys != nil {
		m.Keys = strings.Fields(*row.Keys)
	}
	if row.Headers != nil {
		headers, err := outbox.ParseHeaders([]byte(*row.Headers))
		require.NoError(rt, err)
		m.Headers = headers
	}
	return m
}

func drawMessage(rt *rapid.T) outbox.Message {
	// Any text without control characters, and keys without white space.
	text := rapid.StringMatching(`[^\x00-\x1f]{1,12}`).Filter(func(s string) bool { return strings.ToValidUTF8(s, "") == s })
	key := text.Filter(func(s string) bool { return len(strings.Fields(s)) == 1 && strings.Fields(s)[0] == s })
	header := key.Filter(regexp.MustCompile(`^[a-z]`).MatchString)
	optional := func(g *rapid.Generator[string], label string) string {
		return rapid.OneOf(rapid.Just(""), g).Draw(rt, label)
	}
	m := outbox.Message{
		Topic:       rapid.StringMatching(`[a-z][a-zA-Z0-9_%|-]{0,20}`).Draw(rt, "topic"),
		Tag:         optional(key.Filter(func(s string) bool { return !strings.Contains(s, "|") }), "tag"),
		OrderingKey: optional(text, "ordering key"),
		DedupKey:    optional(key, "dedup key"),
		Payload:     rapid.SliceOfN(rapid.Byte(), 1, 200).Draw(rt, "payload"),
	}
	if keys := rapid.SliceOfN(key, 0, 3).Draw(rt, "keys"); len(keys) > 0 {
		m.Keys = keys
	}
	if headers := rapid.MapOfN(header, text, 0, 3).Draw(rt, "headers"); len(headers) > 0 {
		m.Headers = headers
	}
	return m
}

// TestWriteIdsFollowTheSort pins what the order of ids rests on: PostgreSQL gives identity values out above the sort.
func TestWriteIdsFollowTheSort(t *testing.T) {
	t.Parallel()
	config, schema := newSchema(t, "sort_")
	conn := connect(t, config)
	_, err := conn.Exec(t.Context(), `INSERT INTO outbox (topic, payload)
		SELECT 't', convert_to(n::text, 'UTF8') FROM unnest(ARRAY[3, 1, 2]) AS u(n) ORDER BY n`)
	require.NoError(t, err)
	var got []string
	for _, row := range readAll(t, config, schema) {
		got = append(got, string(row.Payload))
	}
	require.Equal(t, []string{"1", "2", "3"}, got)
}
