package flowtest

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/relay"
	"github.com/outbox-relay/outbox-relay/internal/stack"
	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
)

// Topics that are not transactional, on the real broker.

// kinds is one topic of every type and mode, on the shared servers.
type kinds struct {
	*world
	topics map[string]relay.Topic // by type, or by mode for type normal
}

func newKinds(t *testing.T) *kinds {
	t.Helper()
	servers := stacktest.Shared(t)
	w := newWorld(t, 4)
	k := &kinds{world: w, topics: make(map[string]relay.Topic)}
	for _, want := range []relay.Topic{
		{Type: relay.TypeTransaction, Delivery: relay.ExactlyOnce},
		{Type: relay.TypeNormal, Mode: relay.ModeSync},
		{Type: relay.TypeNormal, Mode: relay.ModeAsync},
		{Type: relay.TypeNormal, Mode: relay.ModeOneway},
		{Type: relay.TypeFIFO},
		{Type: relay.TypeDelay},
	} {
		kind := want.Type
		if want.Mode != "" {
			kind = want.Mode
		}
		want.Name = w.topic + "_" + kind
		want.OnDead = relay.OnDeadBlock
		if want.Delivery == "" {
			want.Delivery = relay.AtLeastOnce
		}
		require.NoError(t, stack.CreateTopic(t.Context(), w.nameServer, servers.Broker(),
			stack.Topic{Name: want.Name, Queues: 4, MessageType: strings.ToUpper(want.Type)}))
		k.topics[kind] = want
	}
	return k
}

// config is that of a relay with all the topics.
func (k *kinds) config(c *relay.Config) {
	c.Topics = nil
	for _, t := range k.topics {
		c.Topics = append(c.Topics, t)
	}
}

// rows commits n rows for a topic, with keys in turn ("" = unordered), due in a while where the topic delays.
func (k *kinds) rows(kind string, n int, due time.Duration, keys ...string) {
	k.t.Helper()
	if len(keys) == 0 {
		keys = []string{""}
	}
	_, err := k.db.Exec(k.t.Context(), `INSERT INTO outbox (topic, ordering_key, payload, deliver_at, tag, keys, headers)
		SELECT $1, nullif(($2::text[])[1 + i % cardinality($2::text[])], ''), convert_to('message ' || i, 'UTF8'),
		       CASE WHEN $4::float8 > 0 THEN clock_timestamp() + make_interval(secs => $4) END, 'TagA', 'k1 k2', '{"color": "blue", "n": 7}'
		  FROM generate_series(0, $3::int - 1) i`, k.topics[kind].Name, keys, n, due.Seconds())
	require.NoError(k.t, err)
}

// on reads a topic and returns its messages by row, having checked the order of keys.
func (k *kinds) on(kind string) map[int64][]stack.Message {
	k.t.Helper()
	messages, err := stack.ReadTopic(k.t.Context(), k.nameServer, k.topics[kind].Name)
	require.NoError(k.t, err)
	rows := make(map[int64][]stack.Message)
	last := make(map[string]int64)
	for _, m := range messages {
		id, err := strconv.ParseInt(m.Properties["outbox-id"], 10, 64)
		require.NoError(k.t, err)
		if key := m.Properties["SHARDING_KEY"]; key != "" && rows[id] == nil {
			assert.Greater(k.t, id, last[key], "key %s is out of order", key)
			last[key] = id
		}
		rows[id] = append(rows[id], m)
	}
	return rows
}

// once checks that a topic has n rows, each once.
func (k *kinds) once(kind string, n int) map[int64][]stack.Message {
	k.t.Helper()
	rows := k.on(kind)
	assert.Len(k.t, rows, n, kind)
	for id, messages := range rows {
		assert.Len(k.t, messages, 1, "%s row %d", kind, id)
	}
	return rows
}

func TestEveryTypeOfTopicInOneRelay(t *testing.T) {
	t.Parallel()
	k := newKinds(t)
	due := 3 * time.Second
	k.rows("transaction", 200, 0, "a", "", "b")
	for _, mode := range []string{"sync", "async", "oneway"} {
		k.rows(mode, 300, 0)
	}
	k.rows("fifo", 300, 0, "a", "b", "c")
	before := time.Now()
	k.rows("delay", 40, due)
	k.start(k.config)
	k.drained()
	for kind, n := range map[string]int{"transaction": 200, "sync": 300, "async": 300, "fifo": 300} {
		for id, messages := range k.once(kind, n) {
			m := messages[0]
			want := map[string]string{"color": "blue", "n": "7", "outbox-id": strconv.FormatInt(id, 10), "UNIQ_KEY": m.ID}
			for name, value := range want {
				assert.Equal(t, value, m.Properties[name], "%s %s", kind, name)
			}
			assert.Equal(t, "TagA", m.Tag)
			dedup := m.Properties["outbox-dedup-key"]
			assert.Equal(t, dedup+" k1 k2", m.Keys)
			assert.Equal(t, m.Properties["SHARDING_KEY"], m.Properties["__SHARDINGKEY"])
			assert.Equal(t, kind == "transaction", m.Properties["TRAN_MSG"] == "true")
			assert.NotContains(t, m.Properties, "WAIT")
		}
	}
	require.Eventually(t, func() bool { return len(k.on("oneway")) == 300 }, patience, 50*time.Millisecond, "on loopback nothing is lost")
	require.Eventually(t, func() bool { return len(k.on("delay")) == 40 }, patience, 50*time.Millisecond)
	for _, messages := range k.once("delay", 40) {
		assert.GreaterOrEqual(t, messages[0].Stored.Sub(before), due-20*time.Millisecond, "not before its time")
	}
	assert.Equal(t, 300, k.count("outbox_sent WHERE NOT confirmed"))
	assert.Equal(t, 1140, k.count("outbox_sent WHERE confirmed"))
}

// A row that asks for what its topic's type does not give is dead before anything is sent.
func TestRowsOfTheWrongType(t *testing.T) {
	t.Parallel()
	k := newKinds(t)
	k.rows("transaction", 1, time.Minute)
	k.rows("sync", 1, time.Minute)
	k.rows("sync", 1, 0, "key")
	k.rows("fifo", 1, 0)
	k.rows("fifo", 1, time.Minute, "key")
	k.rows("delay", 1, 0)
	k.rows("delay", 1, time.Minute, "key")
	k.start(k.config)
	k.drained()
	assert.Equal(t, 7, k.count("outbox_dead WHERE reason = 'not_allowed'"))
	for _, part := range []string{"is lost by the broker", "use one of type delay", "has no order", "use one of type normal", "is not set, but the topic is of type delay"} {
		assert.Positive(t, k.count("outbox_dead WHERE error LIKE '%"+part+"%'"), part)
	}
	for kind := range k.topics {
		assert.Empty(t, k.on(kind), kind)
	}
}

// TestBodiesArriveByteForByte: alone, and as part of a RocketMQ batch.
func TestBodiesArriveByteForByte(t *testing.T) {
	t.Parallel()
	k := newKinds(t)
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	big := make([]byte, 1<<20)
	_, _ = rand.Read(big)
	bodies := [][]byte{{0}, {0xff}, every, []byte("\xc3\x28 is no UTF-8 \xf0\x90"), bytes.Repeat([]byte{1, 2}, 4000), big, bytes.Repeat([]byte("x"), 4<<20)}
	for _, kind := range []string{"transaction", "sync", "async", "fifo", "delay"} {
		for _, body := range bodies {
			_, err := k.db.Exec(t.Context(), `INSERT INTO outbox (topic, payload, ordering_key, deliver_at) VALUES ($1, $2, $3, $4)`,
				k.topics[kind].Name, body, map[string]*string{"fifo": new("k")}[kind], map[string]*time.Time{"delay": new(time.Now())}[kind])
			require.NoError(t, err)
		}
	}
	k.start(k.config)
	k.drained()
	first := int64(1)
	for _, kind := range []string{"transaction", "sync", "async", "fifo", "delay"} {
		rows := k.once(kind, len(bodies))
		for i, body := range bodies {
			require.Len(t, rows[first+int64(i)], 1)
			assert.True(t, bytes.Equal(body, rows[first+int64(i)][0].Body), "%s body %d", kind, i)
		}
		first += int64(len(bodies))
	}
}

// A batch is refused as a whole: what it is about is found by sending each of its messages alone.
func TestBatchThatIsTooLargeGoesInParts(t *testing.T) {
	t.Parallel()
	k := newKinds(t)
	for range 6 {
		_, err := k.db.Exec(t.Context(), `INSERT INTO outbox (topic, payload, ordering_key) VALUES ($1, $2, 'k')`, k.topics["fifo"].Name, make([]byte, 2<<20))
		require.NoError(t, err)
	}
	k.start(k.config, func(c *relay.Config) { c.SendBytes = 4 << 20 }) // two bodies, and then their properties are too much
	k.drained()
	k.once("fifo", 6)
	assert.Zero(t, k.count("outbox_dead"))
	assert.Zero(t, k.count("outbox_attempt WHERE struck IS NOT NULL"))
}

// TestKeysOfFIFOTopicsAreInOrder: many small batches of few keys are under way at once.
func TestKeysOfFIFOTopicsAreInOrder(t *testing.T) {
	t.Parallel()
	k := newKinds(t)
	keys := make([]string, 12)
	for i := range keys {
		keys[i] = fmt.Sprint("key-", i)
	}
	k.rows("fifo", 2000, 0, keys...)
	k.start(k.config, func(c *relay.Config) { c.BatchRows, c.SendMessages = 50, 4 })
	k.rows("fifo", 1000, 0, keys...)
	k.drained()
	k.once("fifo", 3000)
}

// A row that is due later than the broker delays stays in the outbox.
func TestDueLaterThanTheBrokerDelays(t *testing.T) {
	t.Parallel()
	k := newKinds(t)
	k.rows("delay", 1, 30*24*time.Hour)
	k.start(k.config)
	require.Eventually(t, func() bool { return k.count("outbox WHERE last_error LIKE 'not_due%' AND attempts = 0") == 1 }, patience, 50*time.Millisecond)
	var wait time.Duration
	require.NoError(t, k.db.QueryRow(t.Context(), "SELECT available_at - now() FROM outbox").Scan(&wait))
	assert.InDelta(t, 27*24, wait.Hours(), 0.1, "timerMaxDelaySec is three days")
}

func TestKilledWhileSendingPlainly(t *testing.T) {
	t.Parallel()
	for _, point := range []relay.Point{relay.PointRead, relay.PointDecide, relay.PointSend, relay.PointSettle} {
		t.Run(string(point), func(t *testing.T) {
			t.Parallel()
			k := newKinds(t)
			k.rows("sync", 100, 0)
			k.rows("fifo", 200, 0, "a", "b", "c")
			k.rows("delay", 20, 2*time.Second)
			small := func(c *relay.Config) { c.BatchRows = 60 }
			k.dies(k.victim(point, 2, k.config, small))
			k.start(k.config, small)
			k.rows("fifo", 50, 0, "a", "b")
			k.drained()
			k.once("sync", 100)
			k.once("fifo", 250)
			require.Eventually(t, func() bool { return len(k.on("delay")) == 20 }, patience, 50*time.Millisecond)
			k.once("delay", 20)
		})
	}
}
