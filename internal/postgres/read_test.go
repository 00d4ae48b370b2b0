package postgres_test

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/outbox-relay/outbox-relay/internal/relay"
	limits "github.com/outbox-relay/outbox-relay/outbox"
)

func (o *outbox) fresh(q relay.FreshQuery) []int64 {
	o.t.Helper()
	rows, _, err := o.ReadFresh(o.t.Context(), withDefaults(q))
	require.NoError(o.t, err)
	return idsOf(rows)
}

func withDefaults(q relay.FreshQuery) relay.FreshQuery {
	if q.Shards == 0 {
		q.Shards = all
	}
	if q.Topics == nil {
		q.Topics = []string{"orders"}
	}
	if q.Limit == 0 {
		q.Limit = 1000
	}
	if q.Bytes == 0 {
		q.Bytes = 1 << 30
	}
	if q.UpTo == 0 {
		q.UpTo = math.MaxInt64
	}
	return q
}

func (o *outbox) due(q relay.DueQuery) []int64 {
	o.t.Helper()
	d := withDefaults(relay.FreshQuery{Shards: q.Shards, Topics: q.Topics, Limit: q.Limit, Bytes: q.Bytes})
	rows, err := o.ReadDue(o.t.Context(), relay.DueQuery{
		Shards: d.Shards, Topics: d.Topics, Exclude: q.Exclude, Limit: d.Limit, Bytes: d.Bytes,
	})
	require.NoError(o.t, err)
	return idsOf(rows)
}

func idsOf(rows []relay.Row) []int64 {
	var ids []int64
	for i := range rows {
		ids = append(ids, rows[i].ID)
	}
	return ids
}

func TestReadFreshReturnsTheWholeRow(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	_, err := o.app.Exec(t.Context(), `INSERT INTO outbox (topic, payload) VALUES ('orders', 'plain')`)
	require.NoError(t, err)
	deliver := time.Now().Add(time.Hour).Truncate(time.Microsecond)
	created := time.Now().Add(-time.Hour).Truncate(time.Microsecond)
	_, err = o.app.Exec(t.Context(), `INSERT INTO outbox (topic, tag, keys, ordering_key, dedup_key, headers, payload, deliver_at, created_at, attempts)
		VALUES ('orders', 'paid', 'k1 k2', 'customer 7', 'order-9', '{"a": 1, "ü": "ö"}', '\x00ff', $1, $2, 3)`, deliver, created)
	require.NoError(t, err)

	rows, _, err := o.ReadFresh(t.Context(), withDefaults(relay.FreshQuery{}))
	require.NoError(t, err)
	require.Len(t, rows, 2)
	plain, full := rows[0], rows[1]
	require.WithinDuration(t, time.Now(), plain.CreatedAt, time.Minute)
	require.Equal(t, relay.Row{ID: 1, CreatedAt: plain.CreatedAt, Shard: 1, Topic: "orders", Payload: []byte("plain"), Size: 5}, plain)
	require.Equal(t, relay.Key{}, plain.Key())
	require.JSONEq(t, `{"a": 1, "ü": "ö"}`, string(full.Headers))
	require.True(t, json.Valid(full.Headers))
	require.True(t, deliver.Equal(full.DeliverAt))
	require.True(t, created.Equal(full.CreatedAt))
	full.Headers, full.DeliverAt, full.CreatedAt = nil, time.Time{}, time.Time{}
	require.Equal(t, relay.Row{
		ID: 2, Shard: full.Shard, Attempts: 3, Topic: "orders", Tag: "paid", Keys: "k1 k2", OrderingKey: "customer 7",
		DedupKey: "order-9", Payload: []byte{0, 0xff}, Size: 2,
	}, full)
	require.Equal(t, relay.Key{Topic: "orders", Ordering: "customer 7"}, full.Key())
	require.Equal(t, query1[int16](o, `SELECT shard FROM outbox WHERE id = 2`), full.Shard)
}

func TestRowsOfAKeyShareAShard(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	for n := range 40 {
		o.insertKeyed(2, fmt.Sprintf("customer %d", n))
	}
	o.insert(64)
	require.Equal(t, 40, query1[int](o, `SELECT count(*) FROM (SELECT ordering_key FROM outbox WHERE ordering_key IS NOT NULL
		GROUP BY 1 HAVING count(DISTINCT shard) = 1) k`))
	require.Greater(t, query1[int](o, `SELECT count(DISTINCT shard) FROM outbox WHERE ordering_key IS NOT NULL`), 15)
	require.Equal(t, 64, query1[int](o, `SELECT count(DISTINCT shard) FROM outbox WHERE ordering_key IS NULL`))
}

func TestReadFreshLimitsBytes(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	o.exec(`INSERT INTO outbox (topic, payload) SELECT 'orders', convert_to(repeat('x', n), 'UTF8') FROM unnest(ARRAY[100, 50, 1, 3000000, 10]) n`)
	require.Equal(t, []int64{1}, o.fresh(relay.FreshQuery{Bytes: 1}), "one row always")
	require.Equal(t, []int64{1}, o.fresh(relay.FreshQuery{Bytes: -1}), "one row always")
	require.Equal(t, []int64{1}, o.fresh(relay.FreshQuery{Bytes: 100}))
	require.Equal(t, []int64{1, 2}, o.fresh(relay.FreshQuery{Bytes: 101}), "the row that reaches the limit is the last")
	require.Equal(t, []int64{1, 2, 3, 4}, o.fresh(relay.FreshQuery{Bytes: 152}))
	require.Equal(t, []int64{4}, o.fresh(relay.FreshQuery{After: 3, Bytes: 5000}))
	require.Equal(t, []int64{1, 2, 3, 4, 5}, o.fresh(relay.FreshQuery{Bytes: 1 << 40}))
	o.exec(`UPDATE outbox SET available_at = now() - id * interval '1 s'`)
	require.Equal(t, []int64{5, 4}, o.due(relay.DueQuery{Bytes: 11}))
	require.Equal(t, []int64{5}, o.due(relay.DueQuery{Bytes: 10}))
}

// The size of a large payload is known from its pointer: rows that a read leaves behind are not fetched.
func TestReadFreshDoesNotFetchWhatItLeaves(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	o.exec(`ALTER TABLE outbox ALTER payload SET STORAGE EXTERNAL`)
	o.exec(`INSERT INTO outbox (topic, payload) SELECT 'orders', convert_to(repeat('x', 1000000), 'UTF8') FROM generate_series(1, 50)`)
	toast := func() int64 {
		o.exec(`SELECT pg_stat_force_next_flush()`)
		return query1[int64](o, `SELECT coalesce(sum(toast_blks_read + toast_blks_hit), 0)::bigint FROM pg_statio_user_tables WHERE relname = 'outbox'`)
	}
	if query1[int](o, `SELECT current_setting('server_version_num')::int`) < 150000 {
		t.Log("PostgreSQL 14 cannot be told to report its statistics at once")
		return
	}
	before := toast()
	require.Len(t, o.fresh(relay.FreshQuery{Bytes: 1}), 1)
	o.pool.Reset() // the backend reports when it ends
	require.Eventually(t, func() bool { return toast() > before }, 10*time.Second, 20*time.Millisecond)
	require.Less(t, toast()-before, int64(10*130), "a payload of 1 MB is about 126 blocks")
}

func TestReadDue(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	ids := o.insert(6)
	o.exec(`UPDATE outbox SET available_at = now() - interval '1 min' WHERE id = $1`, ids[4])
	o.exec(`UPDATE outbox SET available_at = now() - interval '2 min' WHERE id IN ($1, $2)`, ids[5], ids[3])
	o.exec(`UPDATE outbox SET available_at = now() + interval '1 min' WHERE id = $1`, ids[2])
	o.exec(`UPDATE outbox SET available_at = 'infinity' WHERE id = $1`, ids[1])
	require.Equal(t, ids[:1], o.fresh(relay.FreshQuery{}))
	require.Equal(t, []int64{ids[3], ids[5], ids[4]}, o.due(relay.DueQuery{}))
	require.Equal(t, []int64{ids[3]}, o.due(relay.DueQuery{Limit: 1}))
	require.Equal(t, []int64{ids[3], ids[4]}, o.due(relay.DueQuery{Exclude: []int64{ids[5], ids[0]}}))
	require.Equal(t, []int64{ids[4]}, o.due(relay.DueQuery{Shards: 1 << (ids[4] & 63)}))
	require.Empty(t, o.due(relay.DueQuery{Topics: []string{"bills"}}))
}

// ReadFresh and ReadDue against a filter written in Go, on random rows and queries.
func TestReadAgainstModel(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	rapid.Check(t, func(rt *rapid.T) {
		o.exec(`DELETE FROM outbox`)
		type row struct {
			id     int64
			shard  int16
			topic  string
			size   int
			putOff int // minutes, 0 = not
		}
		topics := []string{"orders", "bills", "other"}
		var rows []row
		for range rapid.IntRange(0, 12).Draw(rt, "rows") {
			r := row{
				topic: rapid.SampledFrom(topics).Draw(rt, "topic"), size: rapid.IntRange(0, 20).Draw(rt, "size"),
				putOff: rapid.SampledFrom([]int{0, 0, 0, -3, -2, -1, 1}).Draw(rt, "put off"),
			}
			err := o.admin.QueryRow(t.Context(), `INSERT INTO outbox (topic, payload, available_at)
				VALUES ($1, convert_to(repeat('x', $2), 'UTF8'), CASE WHEN $3 <> 0 THEN date_trunc('hour', now()) + $3 * interval '1 hour' END)
				RETURNING id, shard`, r.topic, r.size, r.putOff).Scan(&r.id, &r.shard)
			require.NoError(t, err)
			rows = append(rows, r)
		}
		var ids []int64
		for _, r := range rows {
			ids = append(ids, r.id)
		}
		shards := rapid.Uint64().Draw(rt, "shards") | rapid.Uint64().Draw(rt, "more shards")
		wanted := rapid.SliceOfDistinct(rapid.SampledFrom(topics), rapid.ID).Draw(rt, "topics")
		limit := rapid.IntRange(1, 8).Draw(rt, "limit")
		bytes := rapid.Int64Range(1, 60).Draw(rt, "bytes")
		var excluded []int64
		after, upTo := int64(0), int64(math.MaxInt64)
		if len(ids) > 0 {
			excluded = rapid.SliceOf(rapid.SampledFrom(ids)).Draw(rt, "exclude")
			after = rapid.SampledFrom(ids).Draw(rt, "after") - int64(rapid.IntRange(0, 12).Draw(rt, "before"))
			if rapid.Bool().Draw(rt, "bounded") {
				upTo = after + int64(rapid.IntRange(0, 12).Draw(rt, "span"))
			}
		}
		model := func(due bool) []int64 {
			candidates := slices.Clone(rows)
			if due {
				slices.SortStableFunc(candidates, func(a, b row) int { return a.putOff - b.putOff })
			}
			var want []int64
			var size int64
			for _, r := range candidates {
				state := r.putOff == 0 && r.id > after && r.id <= upTo
				if due {
					state = r.putOff < 0
				}
				if !state || shards>>r.shard&1 == 0 || !slices.Contains(wanted, r.topic) || slices.Contains(excluded, r.id) {
					continue
				}
				if len(want) == limit || size >= bytes {
					break
				}
				want, size = append(want, r.id), size+int64(r.size)
			}
			return want
		}
		fresh, _, err := o.ReadFresh(t.Context(), relay.FreshQuery{
			After: after, UpTo: upTo, Shards: shards, Topics: wanted, Exclude: excluded, Limit: limit, Bytes: bytes,
		})
		require.NoError(t, err)
		require.Equal(t, model(false), idsOf(fresh))
		due, err := o.ReadDue(t.Context(), relay.DueQuery{
			Shards: shards, Topics: wanted, Exclude: excluded, Limit: limit, Bytes: bytes,
		})
		require.NoError(t, err)
		require.Equal(t, model(true), idsOf(due))
	})
}

// What is cut is still too much for a message.
func TestReadCutsWhatIsFarTooLarge(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	o.exec(`INSERT INTO outbox (topic, payload, tag, keys, ordering_key, dedup_key, headers, created_at, deliver_at)
		SELECT 'orders', decode(repeat('00', $1), 'hex'), repeat('ü', 50000), repeat('k', 50000), repeat('o', 50000), repeat('d', 50000),
		jsonb_build_object('a', repeat('v', 400000)), 'infinity', 'infinity'`, limits.MaxPayloadBytes+1000)
	o.exec(`INSERT INTO outbox (topic, payload) SELECT 'orders', decode(repeat('00', $1), 'hex')`, limits.MaxPayloadBytes+1)
	rows, complete, err := o.ReadFresh(t.Context(), withDefaults(relay.FreshQuery{}))
	require.NoError(t, err)
	require.True(t, complete)
	require.Len(t, rows, 2)
	r := rows[0]
	require.Len(t, r.Payload, limits.MaxPayloadBytes+1)
	require.Equal(t, int64(limits.MaxPayloadBytes+1000), r.Size)
	for _, text := range []string{r.Tag, r.Keys, r.OrderingKey, r.DedupKey} {
		require.Greater(t, len(text), limits.MaxPropertyBytes)
		require.Less(t, len(text), 90_000)
	}
	require.Len(t, r.Headers, 300_000)
	require.WithinDuration(t, time.Now(), r.CreatedAt, time.Minute)
	require.False(t, r.DeliverAt.IsZero(), "infinity is not nothing")
	require.Len(t, rows[1].Payload, limits.MaxPayloadBytes+1)
	require.Equal(t, []int64{1}, o.fresh(relay.FreshQuery{Bytes: limits.MaxPayloadBytes + 1}), "sizes are added up as they are returned")
	require.Equal(t, []int64{1, 2}, o.fresh(relay.FreshQuery{Bytes: limits.MaxPayloadBytes + 2}))
}

// A read tells whether a writer was still running in its own snapshot.
func TestReadFreshIsCompleteWhileTheGuardedRun(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	tx := o.begin(insertOne)
	o.insert(2)
	guard := []int64{o.sample().Writers[0].XID}
	complete := func(guard []int64) bool {
		rows, complete, err := o.ReadFresh(t.Context(), withDefaults(relay.FreshQuery{After: 2, Guard: guard}))
		require.NoError(t, err)
		require.Len(t, rows, 1)
		return complete
	}
	require.True(t, complete(nil))
	require.True(t, complete(guard))
	_, err := tx.Exec(t.Context(), `SAVEPOINT s; INSERT INTO outbox (topic, payload) VALUES ('bills', 'x')`)
	require.NoError(t, err)
	require.Equal(t, guard[0], o.sample().Writers[0].XID, "not that of the subtransaction")
	require.True(t, complete(guard))
	require.NoError(t, tx.Commit(t.Context()))
	require.False(t, complete(guard))
}
