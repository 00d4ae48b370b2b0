package relay

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// someRows are rows as an application writes them: a key for every other, headers, a payload of 256 bytes.
func someRows(n int, topic Topic) []*Row {
	rows := make([]*Row, n)
	for i := range rows {
		rows[i] = &Row{
			ID: int64(i + 1), Topic: topic.Name, Tag: "created", Keys: "order-4711", Headers: []byte(`{"content-type": "application/json"}`),
			Payload: make([]byte, 256), Size: 256, CreatedAt: time.Unix(1, 0),
		}
		if topic.Type != TypeNormal && i%2 == 0 {
			rows[i].OrderingKey = fmt.Sprint("key-", i)
		}
	}
	return rows
}

// quickBench is a session on fakes that answer at once.
func quickBench(tb testing.TB) *bench {
	tb.Helper()
	r, db, mq, logs := newRelay(tb, plainTopics)
	r.origin = uuid.UUID{1}.String()
	for _, topic := range r.cfg.Topics {
		topic.Queues = []Queue{{"b", 0}}
		r.topics[topic.Name] = topic
	}
	s := r.newSession(tb.Context())
	s.intake.own(1, nil, nil)
	read(s.intake)
	mq.commit = func(int64) Answer { return Answer{} }
	mq.send = func([]Half) Answer { return Answer{} }
	go func() { _ = s.ledger.run(s.work) }()
	tb.Cleanup(func() { s.end(nil) })
	return &bench{session: s, db: db, mq: mq, logs: logs}
}

// oneBatch takes rows all the way, from the reader to settled.
func (b *bench) oneBatch(rows []*Row) {
	made := b.taken(rows...)
	made.taken = len(rows)
	b.throttle.add("b", len(rows))
	made.run()
	read(b.intake)
	b.mq.mu.Lock()
	b.mq.sent = b.mq.sent[:0]
	b.mq.mu.Unlock()
}

func BenchmarkBatch(b *testing.B) {
	for _, topic := range []string{"t", "async"} {
		b.Run(topic, func(b *testing.B) {
			world := quickBench(b)
			rows := someRows(512, world.topics[topic])
			b.ReportAllocs()
			for b.Loop() {
				world.oneBatch(rows)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/512, "ns/message")
		})
	}
}

// Allocations are the same on every machine, so what a message costs of them is held to.
func TestAllocationsOfAMessage(t *testing.T) {
	for topic, most := range map[string]float64{"t": 19, "async": 20} {
		b := quickBench(t)
		rows := someRows(512, b.topics[topic])
		for range 3 {
			b.oneBatch(rows)
		}
		const rounds = 10
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range rounds {
			b.oneBatch(rows)
		}
		runtime.ReadMemStats(&after)
		each := float64(after.Mallocs-before.Mallocs) / rounds / 512
		t.Logf("topic %s: %.1f allocations and %.0f bytes a message, without reading and the network", topic, each,
			float64(after.TotalAlloc-before.TotalAlloc)/rounds/512)
		require.LessOrEqual(t, each, most, topic)
	}
}
