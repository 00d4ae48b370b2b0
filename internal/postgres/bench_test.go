package postgres_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/relay"
)

// BenchmarkDrain drains a backlog as the relay does: each write settles one batch of 500 and decides the next.
//
//	go test -run xxx -bench Drain ./internal/postgres
func BenchmarkDrain(b *testing.B) {
	const size = 500
	o := newOutbox(b)
	session := o.session("a", all)
	o.exec(`INSERT INTO outbox (topic, tag, headers, payload) SELECT 'orders', 'paid', '{"a": "b"}', convert_to(repeat('x', 288), 'UTF8')
		FROM generate_series(1, $1::int) n`, size*b.N)
	o.exec(`VACUUM ANALYZE outbox`)
	b.ReportAllocs()
	b.ResetTimer()
	var after int64
	var closings []relay.Closing
	for range b.N {
		rows, _, err := o.ReadFresh(b.Context(), relay.FreshQuery{
			After: after, Shards: all, Topics: []string{"orders"}, Limit: size, Bytes: 1 << 30, UpTo: math.MaxInt64,
		})
		require.NoError(b, err)
		require.Len(b, rows, size)
		after = rows[size-1].ID
		a := o.attempt(idsOf(rows)...)
		o.write(session, closings, a)
		closings = []relay.Closing{{Attempt: a.ID, All: true}}
	}
	b.ReportMetric(float64(b.N*size)/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkReadBehindInFlight reads behind 10,000 rows that are under way.
func BenchmarkReadBehindInFlight(b *testing.B) {
	o := newOutbox(b)
	ids := o.insert(11_000)
	o.exec(`VACUUM ANALYZE outbox`)
	for b.Loop() {
		rows, _, err := o.ReadFresh(b.Context(), relay.FreshQuery{
			Shards: all, Topics: []string{"orders"}, Exclude: ids[:10_000], Limit: 500, Bytes: 1 << 30, UpTo: math.MaxInt64,
		})
		require.NoError(b, err)
		require.Len(b, rows, 500)
	}
}
