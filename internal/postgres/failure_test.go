package postgres_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/postgres"
	"github.com/outbox-relay/outbox-relay/internal/relay"
)

func TestPutOff(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	session := o.session("a", all)
	ids := o.insert(4)
	err := o.PutOff(t.Context(), session, []relay.Failure{
		{Row: ids[0], Reason: relay.ReasonFlushDiskTimeout, Error: "disk slow", Delay: time.Minute, Counted: true},
		{Row: ids[1], Reason: relay.ReasonBusy, Error: "busy", Delay: time.Millisecond},
		{Row: ids[2], Delay: postgres.Parked},
		{Row: 999, Delay: time.Second}, // gone in the meantime
	})
	require.NoError(t, err)
	type state struct {
		attempts int16
		error    string
		in       float64
	}
	read := func(id int64) (s state) {
		err := o.admin.QueryRow(t.Context(), `SELECT attempts, coalesce(last_error, ''),
			CASE WHEN isfinite(available_at) THEN extract(epoch FROM available_at - now()) ELSE 1e9 END FROM outbox WHERE id = $1`, id).
			Scan(&s.attempts, &s.error, &s.in)
		require.NoError(t, err)
		return s
	}
	got := read(ids[0])
	require.Equal(t, int16(1), got.attempts)
	require.Equal(t, "disk slow", got.error)
	require.InDelta(t, 60, got.in, 10)
	require.Zero(t, read(ids[1]).attempts, "an outage is not counted")
	require.InDelta(t, 1e9, read(ids[2]).in, 1, "parked")
	require.Equal(t, ids[3:], o.fresh(relay.FreshQuery{}))
	require.Equal(t, ids[1:2], o.due(relay.DueQuery{}))

	// Parked rows are released by putting them off for no time; what was the matter stays unless there is news.
	require.NoError(t, o.PutOff(t.Context(), session, []relay.Failure{{Row: ids[2]}, {Row: ids[0], Counted: true}}))
	require.ElementsMatch(t, ids[:3], o.due(relay.DueQuery{}))
	require.Equal(t, int16(2), read(ids[0]).attempts)
	require.Equal(t, "disk slow", read(ids[0]).error)

	o.exec(`UPDATE outbox SET attempts = 32767 WHERE id = $1`, ids[0])
	require.NoError(t, o.PutOff(t.Context(), session, []relay.Failure{{Row: ids[0], Counted: true}}))
	require.Equal(t, int16(32767), read(ids[0]).attempts, "counts to the end of its type and no further")
	require.NoError(t, o.PutOff(t.Context(), session, nil))
}

func TestBury(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	session := o.session("a", all)
	o.exec(`INSERT INTO outbox (topic, tag, keys, ordering_key, dedup_key, headers, payload, deliver_at, available_at, attempts)
		VALUES ('orders', 't', 'k', 'o', 'd', '{"a":1}', '\x01', now() + interval '1 h', now(), 4), ('orders', NULL, NULL, NULL, NULL, NULL, '\x02', NULL, NULL, 0)`)
	ids := o.pending()
	before := query1[string](o, `SELECT json_agg((SELECT x FROM (SELECT o.id, o.created_at, o.deliver_at, o.shard, o.topic, o.tag, o.keys,
		o.ordering_key, o.dedup_key, o.headers, o.payload) x) ORDER BY id)::text FROM outbox o`)
	require.NoError(t, o.Bury(t.Context(), session, []relay.Failure{
		{Row: ids[0], Reason: relay.ReasonMessageIllegal, Error: "code 13", Status: "13 MESSAGE_ILLEGAL", Broker: "broker-a", Counted: true},
		{Row: ids[1], Reason: relay.ReasonBodyEmpty, Error: "empty body"},
		{Row: 999, Reason: relay.ReasonBodyEmpty},
	}))
	require.Empty(t, o.pending())
	require.Equal(t, before, query1[string](o, `SELECT json_agg((SELECT x FROM (SELECT o.id, o.created_at, o.deliver_at, o.shard, o.topic, o.tag, o.keys,
		o.ordering_key, o.dedup_key, o.headers, o.payload) x) ORDER BY id)::text FROM outbox_dead o`))
	require.Equal(t, []string{"message_illegal|code 13|13 MESSAGE_ILLEGAL|broker-a|5", "body_empty|empty body|none|none|0"},
		column[string](o, `SELECT reason || '|' || error || '|' || coalesce(status, 'none') || '|' || coalesce(broker, 'none') || '|' || attempts FROM outbox_dead ORDER BY id`))
	require.NoError(t, o.Bury(t.Context(), session, []relay.Failure{{Row: ids[0], Reason: relay.ReasonBodyEmpty}}), "twice is once")
	require.Equal(t, 2, query1[int](o, `SELECT count(*) FROM outbox_dead`))
}
