package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/config"
	"github.com/outbox-relay/outbox-relay/internal/stack"
)

// dead returns what a change of dead letters prints.
func (w *world) dead(cfg *config.Config, c DeadChange) (string, error) {
	w.t.Helper()
	var text strings.Builder
	err := ChangeDead(w.t.Context(), cfg, c, &text)
	return text.String(), err
}

func (w *world) letters(cfg *config.Config, s DeadSelection) (rows []DeadRow) {
	w.t.Helper()
	var text strings.Builder
	require.NoError(w.t, ListDead(w.t.Context(), cfg, DeadListing{DeadSelection: s, Rows: true, Limit: 1000, JSON: true}, &text))
	require.NoError(w.t, json.Unmarshal([]byte(text.String()), &rows))
	return rows
}

func (w *world) exec(sql string, args ...any) {
	w.t.Helper()
	_, err := w.db().Exec(w.t.Context(), sql, args...)
	require.NoError(w.t, err)
}

// inOrder returns the rows of a key as they lie on their queue.
func (w *world) inOrder(topic, key string) (rows []int64) {
	w.t.Helper()
	messages, err := stack.ReadTopic(w.t.Context(), w.nameServer, topic)
	require.NoError(w.t, err)
	for _, m := range messages { // a queue's come in order, and a key has one queue
		if m.Properties["__SHARDINGKEY"] == key {
			id, err := strconv.ParseInt(m.Properties["outbox-id"], 10, 64)
			require.NoError(w.t, err)
			rows = append(rows, id)
		}
	}
	return rows
}

// Every reason that a row can be dead for, and the letter as it is afterwards.
func TestBadRowsBecomeLettersWithTheirReason(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cfg := w.config()
	p := start(t, cfg)
	p.eventually("ready", p.ready)
	bad := []struct{ reason, columns, values, says string }{
		{"body_empty", "payload", `''`, "payload 0 bytes must not be empty"},
		{"body_too_large", "payload", `convert_to(repeat('x', 4194305), 'UTF8')`, "must be at most 4194304 bytes"},
		{"bad_properties", "payload, tag", `'x', 'a|b'`, `tag "a|b" must not contain '|'`},
		{"bad_properties", "payload, keys", `'x', repeat('k', 40000)`, "must be at most 32000 bytes in all"},
		{"bad_properties", "payload, ordering_key", `'x', repeat('o', 65)`, "must be at most 64 bytes long, is 65"},
		{"bad_headers", "payload, headers", `'x', '[1]'`, "headers must be a JSON object"},
		{"bad_headers", "payload, headers", `'x', '{"WAIT": "false"}'`, "is reserved by RocketMQ or the relay"},
		{"not_allowed", "payload, deliver_at", `'x', now()`, "deliver_at is set"},
	}
	for _, b := range bad {
		w.exec(fmt.Sprintf(`INSERT INTO outbox (topic, %s) VALUES ('%s', %s)`, b.columns, w.topic, b.values))
	}
	p.eventually("dead", func() bool { return w.count("outbox_dead") == len(bad) })
	for i, row := range w.letters(cfg, DeadSelection{}) {
		require.Equal(t, bad[i].reason, row.Reason)
		require.Contains(t, row.Error, bad[i].says)
		require.Empty(t, row.Broker, "nothing was sent")
		require.Empty(t, row.Status)
		require.Zero(t, row.Attempts)
	}
	messages, err := stack.ReadTopic(t.Context(), w.nameServer, w.topic)
	require.NoError(t, err)
	require.Empty(t, messages)

	var table strings.Builder
	require.NoError(t, ListDead(t.Context(), cfg, DeadListing{Limit: 100}, &table))
	require.Regexp(t, `(?m)^bad_properties +`+w.topic+` +3 +1 `, table.String())
	s, err := ReadStatus(t.Context(), cfg)
	require.NoError(t, err)
	table.Reset()
	require.NoError(t, s.WriteTable(&table))
	require.Regexp(t, `dead +8: outbox-relay dead list`, table.String())
	require.NoError(t, p.end())
}

func TestLetterIsShownAndItsPayloadSaved(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cfg := w.config()
	payload := make([]byte, 3000)
	for i := range payload {
		payload[i] = byte(i)
	}
	w.exec(`INSERT INTO outbox_dead (id, created_at, shard, attempts, topic, ordering_key, headers, payload, reason, error, status, broker) VALUES
		(7, now(), 0, 2, 'orders', 'k', '{"a": "b"}', $1, 'message_illegal', 'code 13: too large', '13 MESSAGE_ILLEGAL', 'broker-a'),
		(8, now(), 0, 0, 'orders', NULL, NULL, 'a "text"', 'body_empty', E'two\nlines', NULL, NULL)`, payload)
	file := filepath.Join(t.TempDir(), "payload")
	var text strings.Builder
	require.NoError(t, ShowDead(t.Context(), cfg, 7, file, false, &text))
	saved, err := os.ReadFile(file)
	require.NoError(t, err)
	require.True(t, bytes.Equal(payload, saved))
	for _, want := range []string{
		`reason +message_illegal\n`, `status +13 MESSAGE_ILLEGAL\n`, `broker +broker-a\n`, `attempts +2\n`, `headers +{"a": "b"}\n`,
		`dedup key +[0-9a-f-]{36}-7 \(the default\)\n`, `payload +3000 bytes, SHA-256 [0-9a-f]{64}\n`, `later rows of the key wait for it`,
		`00000000  00 01 02`, `the first 256 of 3000 bytes: --payload FILE`,
	} {
		require.Regexp(t, want, text.String())
	}
	text.Reset()
	require.NoError(t, ShowDead(t.Context(), cfg, 8, "", false, &text))
	require.Contains(t, text.String(), "\na \"text\"\n")
	require.Contains(t, text.String(), `"two\nlines"`)
	text.Reset()
	require.NoError(t, ShowDead(t.Context(), cfg, 8, "", true, &text))
	var letter DeadLetter
	require.NoError(t, json.Unmarshal([]byte(text.String()), &letter))
	require.Equal(t, `a "text"`, letter.Text)

	require.ErrorContains(t, ShowDead(t.Context(), cfg, 0, "", false, &text), "name the letter: --id")
	require.ErrorContains(t, ShowDead(t.Context(), cfg, 9, "", false, &text), "no dead letter that is meant has id 9 (sent, discarded or never there")
	w.insert(1)
	require.ErrorContains(t, ShowDead(t.Context(), cfg, 1, "", false, &text), "1 in the outbox, pending")
}

func TestChoiceOfLettersIsChecked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cfg := w.config()
	w.exec(`INSERT INTO outbox_dead (id, created_at, shard, attempts, topic, ordering_key, payload, reason, error) VALUES
		(7, now(), 0, 2, 'orders', 'k', 'x', 'body_empty', 'x'), (8, now(), 0, 2, 'orders', 'k', 'x', 'bad_headers', 'x')`)
	for name, test := range map[string]struct {
		c    DeadChange
		want string
	}{
		"nothing":      {DeadChange{}, "name the letters: --id"},
		"both":         {DeadChange{DeadSelection: DeadSelection{All: true, Topic: "orders"}}, "--all means every letter"},
		"reason":       {DeadChange{DeadSelection: DeadSelection{Reasons: []string{"body_empti"}}}, `--reason "body_empti" is unknown; did you mean body_empty?`},
		"other reason": {DeadChange{DeadSelection: DeadSelection{Reasons: []string{"weather"}}}, "the reasons are body_empty, "},
		"ages":         {DeadChange{DeadSelection: DeadSelection{OlderThan: 2 * time.Hour, NewerThan: time.Hour}}, "--older-than must be below --newer-than"},
		"missing":      {DeadChange{DeadSelection: DeadSelection{IDs: []int64{7, 99}}}, "no dead letter that is meant has id 99"},
		"not meant":    {DeadChange{DeadSelection: DeadSelection{IDs: []int64{7}, Topic: "invoices"}}, "no dead letter that is meant has id 7"},
		"none":         {DeadChange{DeadSelection: DeadSelection{Topic: "invoices"}}, "no dead letter is meant"},
		"behind":       {DeadChange{DeadSelection: DeadSelection{IDs: []int64{8}}}, "letters 8 would wait behind earlier ones of the same ordering keys: requeue or discard those too (7); nothing was changed"},
	} {
		_, err := w.dead(cfg, test.c)
		require.ErrorContains(t, err, test.want, name)
	}
	require.Equal(t, 2, w.count("outbox_dead"))
	dry, err := w.dead(cfg, DeadChange{DeadSelection: DeadSelection{All: true}, Discard: true, DryRun: true})
	require.NoError(t, err)
	require.Contains(t, dry, "dry run, nothing was changed; 2 letters would be discarded")
	require.Contains(t, dry, "ids: 7, 8")
	require.Equal(t, 2, w.count("outbox_dead"))
	out, err := w.dead(cfg, DeadChange{DeadSelection: DeadSelection{IDs: []int64{8}}, Discard: true, JSON: true})
	require.NoError(t, err)
	var changed DeadChanged
	require.NoError(t, json.Unmarshal([]byte(out), &changed))
	require.Equal(t, 1, changed.Changed)
	require.Equal(t, []int64{8}, changed.IDs)
	_, err = w.dead(cfg, DeadChange{DeadSelection: DeadSelection{All: true}, Discard: true})
	require.NoError(t, err)
	out, err = w.dead(cfg, DeadChange{DeadSelection: DeadSelection{All: true}, Discard: true})
	require.NoError(t, err)
	require.Contains(t, out, "nothing to do")
}

// A relay runs all the while. What waits behind a dead row comes after it when it is requeued, and at once when it is discarded.
func TestLettersAreRequeuedAndDiscardedWhileARelayRuns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cfg := w.config()
	p := start(t, cfg)
	p.eventually("ready", p.ready)
	// Rows 2 and 8 cannot be sent; 3 to 6 wait for the one, 9 to 12 for the other.
	w.exec(`INSERT INTO outbox (topic, ordering_key, payload, headers, dedup_key)
		SELECT $1, k, 'x', CASE WHEN n = 2 THEN '{"WAIT": 1}'::jsonb END, k || n FROM unnest(ARRAY['a', 'b']) k, generate_series(1, 6) n ORDER BY k, n`, w.topic)
	w.exec(`INSERT INTO outbox (topic, ordering_key, payload) SELECT $1, 'c', 'x' FROM generate_series(1, 10)`, w.topic)
	p.eventually("two are dead, what is behind them waits", func() bool { return w.count("outbox_dead") == 2 && w.count("outbox") == 8 })
	require.Equal(t, []int64{1}, w.inOrder(w.topic, "a"))
	require.Equal(t, []int64{13, 14, 15, 16, 17, 18, 19, 20, 21, 22}, w.inOrder(w.topic, "c"))

	w.exec(`UPDATE outbox_dead SET headers = NULL WHERE id = 2`) // mended
	out, err := w.dead(cfg, DeadChange{DeadSelection: DeadSelection{IDs: []int64{2}}})
	require.NoError(t, err)
	require.Contains(t, out, "1 of 1 letters were requeued")
	p.eventually("the row and what was behind it", func() bool { return len(w.inOrder(w.topic, "a")) == 6 })
	require.Equal(t, []int64{1, 2, 3, 4, 5, 6}, w.inOrder(w.topic, "a"))

	_, err = w.dead(cfg, DeadChange{DeadSelection: DeadSelection{Reasons: []string{"bad_headers"}, Key: "b"}, Discard: true})
	require.NoError(t, err)
	p.eventually("what was behind it", func() bool { return w.count("outbox") == 0 })
	require.Equal(t, []int64{7, 9, 10, 11, 12}, w.inOrder(w.topic, "b"))
	require.Len(t, p.log.with(`"msg":"session opened"`), 1)
	messages, err := stack.ReadTopic(t.Context(), w.nameServer, w.topic)
	require.NoError(t, err)
	require.Len(t, messages, 21)
	for _, m := range messages {
		if m.Properties["outbox-id"] == "2" {
			require.Equal(t, "a2", m.Properties["outbox-dedup-key"])
		}
	}
	require.NoError(t, p.end())
}

// Hundreds of letters of one key, more than one read takes, of a topic whose dead rows do not block: they come in order, with
// their default deduplication keys.
func TestManyLettersOfOneKeyAreRequeuedInOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cfg := w.config(fmt.Sprintf("topics: ['%s:skip']", w.topic), "batch: {rows: 50}")
	p := start(t, cfg)
	p.eventually("ready", p.ready)
	w.exec(`INSERT INTO outbox_dead (id, created_at, shard, attempts, topic, ordering_key, payload, reason, error)
		SELECT n, now(), 0, 0, $1, 'k', 'x', 'bad_headers', 'as they died one after the other' FROM generate_series(1, 700) n`, w.topic)
	out, err := w.dead(cfg, DeadChange{DeadSelection: DeadSelection{Key: "k"}})
	require.NoError(t, err)
	require.Contains(t, out, "700 of 700 letters were requeued")
	p.eventually("sent", func() bool { return w.count("outbox") == 0 })
	rows := w.inOrder(w.topic, "k")
	require.Len(t, rows, 700)
	for i, row := range rows {
		require.Equal(t, int64(i+1), row)
	}
	require.Zero(t, w.count("outbox_dead"))
	require.NoError(t, p.end())
}
