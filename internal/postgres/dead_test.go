package postgres_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/postgres"
	"github.com/outbox-relay/outbox-relay/internal/relay"
)

// bury inserts rows and moves them to the dead letters, as the relay does.
func (o *outbox) bury(reason relay.Reason, topic string, keys ...string) []int64 {
	o.t.Helper()
	var ids []int64
	var failures []relay.Failure
	for _, key := range keys {
		id := query1[int64](o, `INSERT INTO outbox (topic, ordering_key, payload, attempts) VALUES ($1, nullif($2, ''), 'x', 3) RETURNING id`, topic, key)
		ids = append(ids, id)
		failures = append(failures, relay.Failure{Row: id, Reason: reason, Error: "broken", Broker: "broker-a", Status: "13 MESSAGE_ILLEGAL"})
	}
	require.NoError(o.t, o.Bury(o.t.Context(), o.session("buries", all), failures))
	return ids
}

// asOwner is the store as the owner of the tables sees it.
func (o *outbox) asOwner() *postgres.Store { return postgres.New(o.admin, schema) }

func (o *outbox) plan(d postgres.DeadSelection) postgres.DeadPlan {
	o.t.Helper()
	p, err := o.PlanDead(o.t.Context(), d) // looking is allowed to the relay's role
	require.NoError(o.t, err)
	return p
}

func TestDeadLettersAreSelected(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	a := o.bury(relay.ReasonBadHeaders, "orders", "k1", "k2", "")
	b := o.bury(relay.ReasonBodyEmpty, "orders", "k1")
	c := o.bury(relay.ReasonBodyEmpty, "invoices", "k1")
	o.exec(`UPDATE outbox_dead SET died_at = died_at - interval '2 h' WHERE id = $1`, b[0])
	for name, test := range map[string]struct {
		d    postgres.DeadSelection
		want []int64
	}{
		"all":       {postgres.DeadSelection{}, append(append(append([]int64{}, a...), b...), c...)},
		"ids":       {postgres.DeadSelection{IDs: []int64{c[0], a[1]}}, []int64{a[1], c[0]}},
		"no ids":    {postgres.DeadSelection{IDs: []int64{}}, nil},
		"topic":     {postgres.DeadSelection{Topic: "invoices"}, c},
		"key":       {postgres.DeadSelection{Key: "k1"}, []int64{a[0], b[0], c[0]}},
		"reason":    {postgres.DeadSelection{Reasons: []string{"body_empty"}}, []int64{b[0], c[0]}},
		"older":     {postgres.DeadSelection{OlderThan: time.Hour}, b},
		"newer":     {postgres.DeadSelection{NewerThan: time.Hour, Reasons: []string{"body_empty"}}, c},
		"together":  {postgres.DeadSelection{Topic: "orders", Key: "k1", Reasons: []string{"bad_headers", "body_empty"}, OlderThan: time.Hour}, b},
		"somebody'": {postgres.DeadSelection{Topic: "'; DROP TABLE outbox_dead"}, nil},
	} {
		require.Equal(t, test.want, o.plan(test.d).IDs(), name)
		rows, err := o.DeadRows(t.Context(), test.d, 100)
		require.NoError(t, err)
		require.Len(t, rows, len(test.want), name)
	}
	groups, err := o.DeadGroups(t.Context(), postgres.DeadSelection{})
	require.NoError(t, err)
	require.Len(t, groups, 3)
	require.Equal(t, "bad_headers", groups[0].Reason)
	require.Equal(t, int64(3), groups[0].Rows)
	require.Equal(t, int64(2), groups[0].Keys)
	rows, err := o.DeadRows(t.Context(), postgres.DeadSelection{IDs: a}, 2)
	require.NoError(t, err)
	require.Len(t, rows, 2)
	require.Equal(t, "13 MESSAGE_ILLEGAL", rows[0].Status)
	require.Equal(t, "broker-a", rows[0].Broker)
	require.Equal(t, int16(3), rows[0].Attempts)
	require.True(t, rows[0].Blocks)
}

func TestDeadLetterIsShownAsItIs(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	payload := bytes.Repeat([]byte{0, 0xff, 'a'}, 6_000_000) // three parts
	id := query1[int64](o, `INSERT INTO outbox (topic, headers, payload, created_at, deliver_at)
		VALUES ('orders', '{"a": 1}', $1, 'infinity', '-infinity') RETURNING id`, payload)
	require.NoError(t, o.Bury(t.Context(), o.session("a", all), []relay.Failure{{Row: id, Reason: relay.ReasonBodyTooLarge, Error: "large"}}))
	letter, err := o.DeadLetter(t.Context(), id, 10)
	require.NoError(t, err)
	require.Equal(t, payload[:10], letter.Head)
	require.Equal(t, int64(len(payload)), letter.Size)
	require.Nil(t, letter.Tag)
	require.Nil(t, letter.DedupKey)
	require.JSONEq(t, `{"a": 1}`, string(letter.Headers))
	var whole bytes.Buffer
	require.NoError(t, o.DeadPayload(t.Context(), id, func(part []byte) error {
		_, err := whole.Write(part)
		return err
	}))
	require.True(t, bytes.Equal(payload, whole.Bytes()))
	_, err = o.DeadLetter(t.Context(), 4711, 10)
	require.ErrorIs(t, err, postgres.ErrNoLetter)
	require.ErrorIs(t, o.DeadPayload(t.Context(), 4711, nil), postgres.ErrNoLetter)
}

func TestRequeueKeepsWhatARowIs(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	o.exec(`INSERT INTO outbox (topic, tag, keys, ordering_key, dedup_key, headers, payload, deliver_at, available_at, attempts, created_at)
		VALUES ('orders', 't', 'k', 'o', 'd', '{"a":1}', '\x00ff', now() + interval '1 h', now(), 4, now() - interval '3 d'),
		       ('orders', NULL, NULL, NULL, NULL, NULL, '\x02', NULL, NULL, 0, 'infinity')`)
	ids := o.pending()
	const kept = `SELECT json_agg((SELECT x FROM (SELECT o.id, o.created_at, o.deliver_at, o.shard, o.topic, o.tag, o.keys,
		o.ordering_key, o.dedup_key, o.headers, o.payload) x) ORDER BY id)::text FROM outbox o`
	before := query1[string](o, kept)
	session := o.session("a", all)
	require.NoError(t, o.Bury(t.Context(), session, []relay.Failure{
		{Row: ids[0], Reason: relay.ReasonMessageIllegal, Error: "code 13", Counted: true}, {Row: ids[1], Reason: relay.ReasonBodyEmpty, Error: "empty"},
	}))
	p := o.plan(postgres.DeadSelection{})
	_, err := o.RequeueDead(t.Context(), p)
	require.ErrorContains(t, err, "run it as the owner of the tables")
	n, err := o.asOwner().RequeueDead(t.Context(), p)
	require.NoError(t, err)
	require.Equal(t, 2, n)
	require.Equal(t, before, query1[string](o, kept))
	require.Equal(t, ids, o.due(relay.DueQuery{}), "both are due")
	require.Equal(t, []string{"0|requeued; before: message_illegal: code 13", "0|requeued; before: body_empty: empty"},
		column[string](o, `SELECT attempts || '|' || last_error FROM outbox ORDER BY id`))
	require.Equal(t, 0, query1[int](o, `SELECT count(*) FROM outbox_dead`))
	n, err = o.asOwner().RequeueDead(t.Context(), p)
	require.NoError(t, err)
	require.Zero(t, n, "twice is once")
	next := o.insert(1)
	require.Greater(t, next[0], ids[1], "the sequence is as it was")
}

// A key's letters go back in order or not at all.
func TestPlanTellsWhatWouldWait(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	o.exec(`INSERT INTO outbox_topic (topic, on_dead) VALUES ('orders', 'block'), ('logs', 'skip')`)
	blocking := o.bury(relay.ReasonBodyEmpty, "orders", "k", "k", "other", "k", "")
	skipping := o.bury(relay.ReasonBodyEmpty, "logs", "k", "k")
	unbound := o.bury(relay.ReasonBodyEmpty, "nobody knows", "k", "k")

	p := o.plan(postgres.DeadSelection{IDs: []int64{blocking[1], blocking[3], blocking[2], skipping[1], unbound[1], 4711}})
	require.Equal(t, []int64{blocking[1], blocking[3], unbound[1]}, p.Behind)
	require.Equal(t, []int64{blocking[0], unbound[0]}, p.Before)
	require.Equal(t, []int64{4711}, p.Missing)
	require.Empty(t, p.Pending)
	p = o.plan(postgres.DeadSelection{Topic: "orders"})
	require.Empty(t, p.Behind)
	require.Empty(t, o.plan(postgres.DeadSelection{IDs: blocking[:2]}).Behind, "the later ones may stay")

	o.exec(`INSERT INTO outbox (id, topic, payload) OVERRIDING SYSTEM VALUE VALUES ($1, 'orders', 'x')`, blocking[0])
	require.Equal(t, blocking[:1], o.plan(postgres.DeadSelection{Topic: "orders"}).Twice)
	require.Empty(t, o.plan(postgres.DeadSelection{Topic: "logs"}).Twice)
	pending := o.insert(1)
	require.Equal(t, pending, o.plan(postgres.DeadSelection{IDs: pending}).Pending)
}

// Large sets go in steps. Whatever ends it in between, each letter is in one place.
func TestRequeueInSteps(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	o.exec(`INSERT INTO outbox_dead (id, created_at, shard, attempts, topic, payload, reason, error)
		SELECT n, now(), 0, 1, 'orders', 'x', 'body_empty', '' FROM generate_series(1, 1200) n`)
	p := o.plan(postgres.DeadSelection{})
	require.Equal(t, 1200, p.Rows())
	o.exec(`INSERT INTO outbox (id, topic, payload) OVERRIDING SYSTEM VALUE VALUES (1100, 'orders', 'by hand')`)
	n, err := o.asOwner().RequeueDead(t.Context(), p)
	require.ErrorContains(t, err, "duplicate key")
	require.Equal(t, 1000, n)
	require.Equal(t, 1000, query1[int](o, `SELECT max(id) FROM outbox WHERE id <> 1100`), "the lowest first")
	require.Equal(t, 200, query1[int](o, `SELECT count(*) FROM outbox_dead`))
	require.Equal(t, 1, query1[int](o, `SELECT count(DISTINCT available_at) FROM outbox WHERE available_at IS NOT NULL`),
		"all of them are due since one moment, so that they are read in the order of their ids")

	n, err = o.asOwner().DiscardDead(t.Context(), o.plan(postgres.DeadSelection{}))
	require.NoError(t, err)
	require.Equal(t, 200, n)
	require.Equal(t, 1001, query1[int](o, `SELECT count(*) FROM outbox`))
}
