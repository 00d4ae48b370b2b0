package flowtest

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/stack"
)

// A badRow is a row as somebody may write it by hand: columns beside topic and payload, as SQL.
type badRow struct {
	columns string // what follows "topic, payload"
	values  string // $1 is the topic
	topic   string // "" = the bound one
	payload string // as SQL, "" = 'x'
	reason  string // of its dead letter; "" = it arrives, "waits" = it stays
	says    string // a part of the dead letter's error
	has     map[string]string
}

// badRows are ended with a reason, or delivered as they are.
var badRows = map[string]badRow{
	"empty payload":           {payload: `''`, reason: "body_empty", says: "must not be empty"},
	"payload of 4 MiB":        {payload: `decode(repeat('00', 4194304), 'hex')`},
	"payload over 4 MiB":      {payload: `decode(repeat('00', 4194305), 'hex')`, reason: "body_too_large", says: "4194305 bytes"},
	"payload of 100 MB":       {payload: `decode(repeat('00', 100000000), 'hex')`, reason: "body_too_large", says: "100000000 bytes"},
	"topic with a space":      {topic: "two words", reason: "waits"},
	"empty topic":             {topic: "-empty", reason: "waits"},
	"topic too long":          {topic: strings.Repeat("t", 128), reason: "waits"},
	"topic of 10,000 letters": {topic: strings.Repeat("t", 10000), reason: "waits"},
	"topic with control":      {topic: "orders\x01\n", reason: "waits"},
	"topic beyond ASCII":      {topic: "Aufträge", reason: "waits"},
	"topic in another case":   {topic: "-upper", reason: "waits"},
	"topic with % and s":      {topic: "%s%d%n", reason: "waits"},
	"unknown topic, ordered":  {topic: "nobody_knows", columns: "ordering_key", values: "'k'", reason: "waits"},
	"reserved topic":          {topic: "RMQ_SYS_TRANS_HALF_TOPIC", reason: "waits"},

	"tag with control":           {columns: "tag", values: `E'a\x01b'`, reason: "bad_properties", says: "tag"},
	"tag with separator":         {columns: "tag", values: `E'a\x02b'`, reason: "bad_properties", says: "tag"},
	"tag with blanks around":     {columns: "tag", values: `' a '`, reason: "bad_properties", says: "white space"},
	"tag with ||":                {columns: "tag", values: `'a||b'`, reason: "bad_properties", says: "or"},
	"empty tag":                  {columns: "tag", values: `''`},
	"tag beyond ASCII":           {columns: "tag", values: `'größe 💶'`},
	"keys with control":          {columns: "keys", values: `E'a\x01b'`, reason: "bad_properties", says: "keys[0]"},
	"keys with a tab":            {columns: "keys", values: `E'a\tb'`, reason: "bad_properties", says: "control"},
	"keys with a line feed":      {columns: "keys", values: `E'a\nb'`, reason: "bad_properties", says: "control"},
	"keys with many blanks":      {columns: "keys", values: `'  a   b  '`, has: map[string]string{"keys": "a b"}},
	"keys with a no-break space": {columns: "keys", values: `U&'a\00A0b'`, has: map[string]string{"keys": "a\u00a0b"}},
	"keys of blanks only":        {columns: "keys", values: `'   '`},
	"keys of 40 KB":              {columns: "keys", values: `repeat('k', 40000)`, reason: "bad_properties", says: "32000"},
	"keys of 10 MB":              {columns: "keys", values: `repeat('k ', 5000000)`, reason: "bad_properties", says: "32000"},
	"dedup key with a space":     {columns: "dedup_key", values: `'two words'`, reason: "bad_properties", says: "dedup_key"},
	"dedup key with control":     {columns: "dedup_key", values: `E'a\x02'`, reason: "bad_properties", says: "dedup_key"},
	"empty dedup key":            {columns: "dedup_key", values: `''`},
	"dedup key of 20 KB":         {columns: "dedup_key", values: `repeat('d', 20000)`, reason: "bad_properties", says: "32000"},

	"ordering key with control":   {columns: "ordering_key", values: `E'a\x01b'`, reason: "bad_properties", says: "ordering_key"},
	"ordering key with line feed": {columns: "ordering_key", values: `E'a\nb'`, reason: "bad_properties", says: "ordering_key"},
	"empty ordering key":          {columns: "ordering_key", values: `''`},
	"ordering key of 65 bytes":    {columns: "ordering_key", values: `repeat('k', 65)`, reason: "bad_properties", says: "64 bytes"},
	"ordering key that no index takes": {
		columns: "ordering_key", values: `(SELECT string_agg(md5(i::text), '') FROM generate_series(1, 300) i)`, reason: "bad_properties",
		says: "64 bytes",
	},
	"ordering key with a space": {columns: "ordering_key", values: `'customer 7 ü'`, has: map[string]string{"SHARDING_KEY": "customer 7 ü"}},

	"headers: array":              {columns: "headers", values: `'[1, 2]'`, reason: "bad_headers", says: "object"},
	"headers: string":             {columns: "headers", values: `'"text"'`, reason: "bad_headers", says: "object"},
	"headers: number":             {columns: "headers", values: `'7'`, reason: "bad_headers", says: "object"},
	"headers: true":               {columns: "headers", values: `'true'`, reason: "bad_headers", says: "object"},
	"headers: null":               {columns: "headers", values: `'null'`},
	"headers: empty object":       {columns: "headers", values: `'{}'`},
	"headers: nested":             {columns: "headers", values: `'{"a": {"b": 1}}'`, reason: "bad_headers", says: `"a"`},
	"headers: list inside":        {columns: "headers", values: `'{"a": [1]}'`, reason: "bad_headers", says: `"a"`},
	"headers: deep":               {columns: "headers", values: `(repeat('{"a":', 3000) || '1' || repeat('}', 3000))::jsonb`, reason: "bad_headers"},
	"headers: null inside":        {columns: "headers", values: `'{"a": null, "b": 1}'`, has: map[string]string{"a": "", "b": "1"}},
	"headers: scalars":            {columns: "headers", values: `'{"n": 1.50, "t": true, "s": "ü"}'`, has: map[string]string{"n": "1.50", "t": "true", "s": "ü"}},
	"headers: large number":       {columns: "headers", values: `'{"n": 1e40000}'`, reason: "bad_properties"},
	"headers: empty name":         {columns: "headers", values: `'{"": "v"}'`, reason: "bad_headers", says: "empty"},
	"headers: empty value":        {columns: "headers", values: `'{"a": ""}'`, reason: "bad_headers", says: "empty"},
	"headers: control in name":    {columns: "headers", values: `'{"a\u0001b": "v"}'`, reason: "bad_headers", says: "control"},
	"headers: control in value":   {columns: "headers", values: `'{"a": "v\u0002"}'`, reason: "bad_headers", says: "control"},
	"headers: over 32 KB":         {columns: "headers", values: `jsonb_build_object('a', repeat('v', 33000))`, reason: "bad_properties", says: "32000"},
	"headers: of 20 MB":           {columns: "headers", values: `jsonb_build_object('a', repeat('v', 20000000))`, reason: "bad_headers", says: "too long"},
	"headers: 2,000 of them":      {columns: "headers", values: `(SELECT jsonb_object_agg('header-' || i, repeat('v', 20)) FROM generate_series(1, 2000) i)`, reason: "bad_properties"},
	"headers: UNIQ_KEY":           {columns: "headers", values: `'{"UNIQ_KEY": "0"}'`, reason: "bad_headers", says: "reserved"},
	"headers: TRAN_MSG":           {columns: "headers", values: `'{"TRAN_MSG": "false"}'`, reason: "bad_headers", says: "reserved"},
	"headers: DELAY":              {columns: "headers", values: `'{"DELAY": 3}'`, reason: "bad_headers", says: "reserved"},
	"headers: WAIT":               {columns: "headers", values: `'{"WAIT": false}'`, reason: "bad_headers", says: "reserved"},
	"headers: TIMER_DELIVER_MS":   {columns: "headers", values: `'{"TIMER_DELIVER_MS": 1}'`, reason: "bad_headers", says: "reserved"},
	"headers: CHECK_IMMUNITY":     {columns: "headers", values: `'{"CHECK_IMMUNITY_TIME_IN_SECONDS": 1}'`, reason: "bad_headers", says: "reserved"},
	"headers: outbox-id":          {columns: "headers", values: `'{"outbox-id": 1}'`, reason: "bad_headers", says: "reserved"},
	"headers: __SHARDINGKEY":      {columns: "headers", values: `'{"__SHARDINGKEY": "x"}'`, reason: "bad_headers", says: "reserved"},
	"headers: KEYS in lower case": {columns: "headers", values: `'{"keys": "x"}'`},
	"headers: broken traceparent": {columns: "headers", values: `'{"traceparent": "00-zz-zz-zz"}'`},

	"deliver_at in the past":   {columns: "deliver_at", values: `'1970-01-01'`, reason: "not_allowed", says: "deliver_at"},
	"deliver_at far ahead":     {columns: "deliver_at", values: `'294276-01-01'`, reason: "not_allowed", says: "deliver_at"},
	"deliver_at before Christ": {columns: "deliver_at", values: `'4700-01-01 BC'`, reason: "not_allowed", says: "deliver_at"},
	"deliver_at infinity":      {columns: "deliver_at", values: `'infinity'`, reason: "not_allowed", says: "deliver_at"},
	"deliver_at -infinity":     {columns: "deliver_at", values: `'-infinity'`, reason: "not_allowed", says: "deliver_at"},
	"available_at infinity":    {columns: "available_at", values: `'infinity'`, reason: "waits"},
	"available_at -infinity":   {columns: "available_at", values: `'-infinity'`},
	"available_at in the past": {columns: "available_at", values: `'4700-01-01 BC'`},
	"available_at far ahead":   {columns: "available_at", values: `'294276-01-01'`, reason: "waits"},
	"created_at in the future": {columns: "created_at", values: `'294276-01-01'`},
	"created_at in the past":   {columns: "created_at", values: `'4700-01-01 BC'`},
	"created_at infinity":      {columns: "created_at", values: `'infinity'`},
	"created_at -infinity":     {columns: "created_at", values: `'-infinity'`},
	"attempts negative":        {columns: "attempts", values: `-32768`},
	"attempts at the end":      {columns: "attempts", values: `32767`},
	"attempts, and a fault":    {columns: "attempts, tag", values: `32767, E'\x01'`, reason: "bad_properties"},
	"last_error given":         {columns: "last_error", values: `'by hand'`},
	"many faults": {
		columns: "tag, keys, dedup_key, ordering_key, headers, deliver_at", payload: `''`, reason: "bad_headers",
		values: `E'\x01', E'\x02', ' ', E'\x03', '[]', now()`,
	},
}

func (b badRow) insert(ctx context.Context, tx *world) (id int64, err error) {
	topic, payload, columns, values := tx.topic, "'x'", "", ""
	switch b.topic {
	case "":
	case "-empty":
		topic = ""
	case "-upper":
		topic = strings.ToUpper(tx.topic)
	default:
		topic = b.topic
	}
	if b.payload != "" {
		payload = b.payload
	}
	if b.columns != "" {
		columns, values = ", "+b.columns, ", "+b.values
	}
	err = tx.db.QueryRow(ctx, fmt.Sprintf(`INSERT INTO outbox (topic, payload%s) VALUES ($1, %s%s) RETURNING id`, columns, payload, values),
		topic).Scan(&id)
	return id, err
}

// Whatever somebody writes into the table by hand ends with a reason or arrives, and the rows before, between and behind it
// arrive in any case.
func TestBadInputEndsWithAReasonAndStopsNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 4)
	good := func() { w.insert(3, "", "good a", "good b") }
	good()
	ids := make(map[string]int64)
	for name, bad := range badRows {
		id, err := bad.insert(t.Context(), w)
		require.NoError(t, err, name)
		ids[name] = id
		good()
	}
	w.start()
	good()
	waits := 0
	for _, bad := range badRows {
		if bad.reason == "waits" {
			waits++
		}
	}
	w.left(waits)
	dead := w.dead()
	var without []int64
	for name, bad := range badRows {
		letter, died := dead[ids[name]]
		switch bad.reason {
		case "":
			assert.False(t, died, "%s is dead: %+v", name, letter)
		case "waits":
			assert.False(t, died, "%s is dead: %+v", name, letter)
			without = append(without, ids[name])
		default:
			assert.Equal(t, bad.reason, letter.reason, "%s: %s", name, letter.err)
			assert.Contains(t, letter.err, bad.says, name)
			without = append(without, ids[name])
		}
	}
	w.exactly(w.number(`SELECT last_value FROM outbox_id_seq`), without...)
	messages := make(map[string]stack.Message)
	for _, m := range w.read() {
		messages[m.Properties["outbox-id"]] = m
	}
	for name, bad := range badRows {
		m := messages[strconv.FormatInt(ids[name], 10)]
		for property, value := range bad.has {
			got := m.Properties[property]
			if property == "keys" {
				_, got, _ = strings.Cut(m.Keys, " ")
			}
			assert.Equal(t, value, got, "%s: %s", name, property)
		}
	}
	assert.Equal(t, 100000000, w.number(fmt.Sprintf(`SELECT octet_length(payload) FROM outbox_dead WHERE id = %d`, ids["payload of 100 MB"])),
		"the payload is kept")
	assert.Equal(t, 1, w.count("outbox_lease"), "the relay is alive")
}

// left waits until so many rows are left, of which none is on its way.
func (w *world) left(n int) {
	w.t.Helper()
	require.Eventually(w.t, func() bool { return w.count("outbox") == n && w.count("outbox_attempt WHERE closed_at IS NULL") == 0 },
		3*patience, patience/1000)
}

type deadLetter struct{ reason, err string }

func (w *world) dead() map[int64]deadLetter {
	w.t.Helper()
	rows, err := w.db.Query(w.t.Context(), `SELECT id, reason, error FROM outbox_dead`)
	require.NoError(w.t, err)
	letters := make(map[int64]deadLetter)
	var id int64
	var l deadLetter
	_, err = pgx.ForEachRow(rows, []any{&id, &l.reason, &l.err}, func() error {
		letters[id] = l
		return nil
	})
	require.NoError(w.t, err)
	return letters
}

// Ids are handed out by the sequence. Whoever writes them by hand gets what can be had.
func TestIDsWrittenByHand(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	insert := func(id int64, key, payload string) error {
		_, err := w.db.Exec(t.Context(), `INSERT INTO outbox (id, topic, ordering_key, payload) OVERRIDING SYSTEM VALUE
			VALUES ($1, $2, nullif($3, ''), convert_to($4, 'UTF8'))`, id, w.topic, key, payload)
		return err
	}
	for _, id := range []int64{0, -1, math.MinInt64} {
		require.ErrorContains(t, insert(id, "", "x"), "outbox_id_check", "reads begin at 1")
	}
	w.insert(3, "", "a")
	require.NoError(t, insert(1_000_000, "a", "far above the sequence"))
	require.NoError(t, insert(math.MaxInt64, "", "the last"))
	w.start()
	w.drained()
	w.insert(3, "a", "")
	w.drained()
	ids := make(map[string]int)
	for _, m := range w.read() {
		ids[m.Properties["outbox-id"]]++
	}
	want := map[string]int{"1000000": 1, strconv.FormatInt(math.MaxInt64, 10): 1}
	for id := range 6 {
		want[strconv.Itoa(id+1)] = 1
	}
	assert.Equal(t, want, ids)
}

// A dead row that somebody puts back without taking it out of the dead letters, and that is no better than before, is parked.
func TestDeadRowPutBackWhileItsLetterStays(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	_, err := w.db.Exec(t.Context(), `INSERT INTO outbox (topic, payload) VALUES ($1, '')`, w.topic)
	require.NoError(t, err)
	w.start()
	require.Eventually(t, func() bool { return w.count("outbox_dead") == 1 }, patience, patience/1000)
	_, err = w.db.Exec(t.Context(), `INSERT INTO outbox (id, topic, payload, tag, available_at) OVERRIDING SYSTEM VALUE
		SELECT id, topic, 'mended', ' but badly ', now() FROM outbox_dead`)
	require.NoError(t, err)
	w.insert(2, "", "a")
	require.Eventually(t, func() bool {
		return w.count(`outbox WHERE id = 1 AND payload = 'mended' AND available_at = 'infinity'
			AND last_error LIKE 'bad_properties: %outbox\_dead%'`) == 1
	}, patience, patience/1000, "it is parked, with the reason")
	w.left(1)
	w.exactly(3, 1)
	assert.Equal(t, 1, w.count("outbox_dead WHERE reason = 'body_empty' AND payload = '' AND id = 1"))
	_, err = w.db.Exec(t.Context(), `DELETE FROM outbox_dead`)
	require.NoError(t, err)
	_, err = w.db.Exec(t.Context(), `UPDATE outbox SET tag = 'well', available_at = now()`)
	require.NoError(t, err)
	w.drained()
	w.exactly(3)
}
