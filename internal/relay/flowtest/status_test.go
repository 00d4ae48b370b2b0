package flowtest

import (
	"context"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/relay"
	"github.com/outbox-relay/outbox-relay/internal/stack"
	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
)

// worldWithBroker makes a world with a broker of its own, set up so that it gives a certain answer.
func worldWithBroker(t *testing.T, config map[string]string) (*world, *stack.Broker) {
	t.Helper()
	return worldWith(t, stack.Options{BrokerConfig: config})
}

// worldWith makes a world with a broker of its own.
func worldWith(t *testing.T, opts stack.Options) (*world, *stack.Broker) {
	t.Helper()
	ns, err := stack.StartNameServer(t.Context(), opts)
	require.NoError(t, err)
	t.Cleanup(func() { _ = ns.Close() })
	all := stack.FastTransactions()
	maps.Copy(all, opts.BrokerConfig)
	opts.BrokerConfig = all
	broker, err := stack.StartBroker(t.Context(), ns, opts)
	require.NoError(t, err)
	t.Cleanup(func() { _ = broker.Close() })
	require.NoError(t, broker.CreateTopic(t.Context(), "orders", 4, "TRANSACTION"))
	return worldOn(t, stacktest.Shared(t).Database(t), ns.Addr, "orders", "group"), broker
}

type rowState struct {
	attempts  int
	lastError string
	putOff    bool
}

func (w *world) row(id int64) (s rowState) {
	w.t.Helper()
	require.NoError(w.t, w.db.QueryRow(context.Background(),
		`SELECT attempts, coalesce(last_error, ''), available_at IS NOT NULL FROM outbox WHERE id = $1`, id).
		Scan(&s.attempts, &s.lastError, &s.putOff))
	return s
}

func TestFlushSlaveTimeoutIsRetriedUnderTheSameDeduplicationKey(t *testing.T) {
	t.Parallel()
	stacktest.Needs(t, stack.InSyncReplicas)
	w, broker := worldWithBroker(t, map[string]string{
		"brokerRole": "SYNC_MASTER", "totalReplicas": "2", "inSyncReplicas": "2", "slaveTimeout": "300",
	})
	w.insert(3, "", "a", "a")
	w.start()
	require.Eventually(t, func() bool { return w.row(1).attempts >= 2 && w.row(2).attempts >= 2 }, patience, 50*time.Millisecond)
	state := w.row(2)
	assert.Contains(t, state.lastError, "flush_slave_timeout")
	assert.True(t, state.putOff)
	assert.Zero(t, w.row(3).attempts, "it waits behind row 2 and was never at fault")
	assert.Zero(t, w.count("outbox_dead"))
	assert.Empty(t, w.read(), "what was perhaps not stored safely is not on the topic")

	w.set(broker, "inSyncReplicas", "1")
	w.drained()
	w.exactly(3)
	for _, m := range w.read() {
		assert.Equal(t, m.Properties["outbox-origin"]+"-"+m.Properties["outbox-id"], m.Properties["outbox-dedup-key"])
		assert.Equal(t, m.Properties["outbox-dedup-key"], m.Keys)
	}
}

// set changes the configuration of a running broker.
func (w *world) set(b *stack.Broker, name, value string) {
	w.t.Helper()
	require.NoError(w.t, b.Set(w.t.Context(), map[string]string{name: value}))
}

func TestFlushDiskTimeoutIsRetried(t *testing.T) {
	t.Parallel()
	w, broker := worldWithBroker(t, map[string]string{"flushDiskType": "SYNC_FLUSH", "syncFlushTimeout": "0"})
	w.insert(40, "", "a", "b")
	w.start()
	require.Eventually(t, func() bool {
		return w.count("outbox WHERE attempts > 0 AND last_error LIKE 'flush_disk_timeout: %'") > 0
	},
		patience, 10*time.Millisecond)
	w.set(broker, "syncFlushTimeout", "5000")
	w.drained()
	w.exactly(40)
}

func TestNotInSyncPausesTheTopicOnThatBroker(t *testing.T) {
	t.Parallel()
	stacktest.Needs(t, stack.InSyncReplicas)
	w, _ := worldWithBroker(t, map[string]string{
		"brokerRole": "SYNC_MASTER", "enableSlaveActingMaster": "true", "totalReplicas": "2", "inSyncReplicas": "2",
	})
	w.insert(100)
	w.start(func(c *relay.Config) { c.BatchRows, c.InFlight = 10, 1 })
	require.Eventually(t, func() bool { return w.count("outbox WHERE last_error LIKE '%not_in_sync%'") > 0 }, patience, 20*time.Millisecond)
	assert.Zero(t, w.count("outbox WHERE attempts > 0"), "no attempt is counted")
	assert.Equal(t, 100, w.count("outbox"))
	assert.Less(t, w.count("outbox WHERE last_error IS NOT NULL"), 20, "only the rows that met the refusal know of it")
}

// Only RocketMQ 4 gives this answer. The halves are stored, but resending is useless while there is no slave: no attempt is
// counted, and the rows go as soon as the broker is content.
func TestSlaveNotAvailablePausesTheTopicOnThatBroker(t *testing.T) {
	t.Parallel()
	w, broker := worldWith(t, stack.Options{RocketMQVersion: stack.RocketMQ49, BrokerConfig: map[string]string{"brokerRole": "SYNC_MASTER"}})
	w.insert(60, "", "a")
	w.start(func(c *relay.Config) { c.BatchRows, c.InFlight = 10, 1 })
	require.Eventually(t, func() bool { return w.count("outbox WHERE last_error LIKE 'slave_not_available: code 11: %'") > 0 },
		patience, 20*time.Millisecond)
	assert.Zero(t, w.count("outbox WHERE attempts > 0"), "no attempt is counted")
	assert.Equal(t, 60, w.count("outbox"))
	assert.Less(t, w.count("outbox WHERE last_error IS NOT NULL"), 20, "only the rows that met it know of it")
	assert.Empty(t, w.read(), "nothing of it is on the topic")
	require.NoError(t, broker.Set(t.Context(), map[string]string{"brokerRole": "ASYNC_MASTER"}))
	w.drained()
	w.exactly(60)
}

// scripted answers halves with a code that the real broker cannot be made to give, until it is told to stop.
type scripted struct {
	relay.Broker
	mu     sync.Mutex
	answer relay.Answer
	halves int
	on     bool
}

func (s *scripted) Halves(ctx context.Context, address string, halves []relay.Half) []relay.HalfAnswer {
	s.mu.Lock()
	on, answer := s.on, s.answer
	if on {
		s.halves += len(halves)
	}
	s.mu.Unlock()
	if !on {
		return s.Broker.Halves(ctx, address, halves)
	}
	answers := make([]relay.HalfAnswer, len(halves))
	for i := range answers {
		answers[i] = relay.HalfAnswer{Answer: answer}
	}
	return answers
}

func (s *scripted) off() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.on = false
}

func (s *scripted) sent() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.halves
}

func TestRefusedHalves(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		answer  relay.Answer
		written bool // whether the row says what happened
	}{
		"slave not available":   {relay.Answer{Code: 11, Remark: "slave not available"}, true},
		"busy":                  {relay.Answer{Code: 2, Remark: "[TIMEOUT_CLEAN_QUEUE]broker busy"}, false},
		"flow control":          {relay.Answer{Code: 215, Remark: "flow control"}, false},
		"no permission":         {relay.Answer{Code: 16, Remark: "the broker's permission is not writable"}, false},
		"topic gone":            {relay.Answer{Code: 17, Remark: "topic not exist"}, false},
		"service unavailable":   {relay.Answer{Code: 14, Remark: "disk full"}, false},
		"unlisted system error": {relay.Answer{Code: 1, Remark: "UNKNOWN_ERROR"}, true}, // the probe makes way for another row
		"connection lost":       {relay.Answer{Err: errLost, Sent: true}, false},
		"never sent":            {relay.Answer{Err: errLost}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 2)
			w.insert(30, "", "a", "b")
			script := &scripted{answer: tt.answer, on: true}
			w.startOn(w.settings(), func(b relay.Broker) relay.Broker {
				script.Broker = b
				return script
			})
			require.Eventually(t, func() bool { return script.sent() > 30 }, patience, 10*time.Millisecond, "a probe goes out when the pause is over")
			assert.Zero(t, w.count("outbox WHERE attempts > 0"), "no attempt is counted")
			assert.Equal(t, 30, w.count("outbox"))
			said := func() bool { return w.count("outbox WHERE last_error IS NOT NULL") > 0 }
			if tt.written {
				require.Eventually(t, said, patience, 10*time.Millisecond, "the row says what happened")
			} else {
				assert.False(t, said(), "the rows are as they were")
			}
			script.off()
			w.drained()
			w.exactly(30)
		})
	}
}

func TestProbesAreFewWhileATopicIsPaused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	w.insert(500)
	script := &scripted{answer: relay.Answer{Code: 14, Remark: "disk full"}, on: true}
	w.startOn(w.settings(), func(b relay.Broker) relay.Broker {
		script.Broker = b
		return script
	})
	require.Eventually(t, func() bool { return script.sent() >= 256 }, patience, 10*time.Millisecond)
	first := script.sent()
	require.Eventually(t, func() bool { return script.sent() > first }, patience, 10*time.Millisecond)
	assert.LessOrEqual(t, script.sent()-first, 3, "one row at a time")
	script.off()
	w.drained()
	w.exactly(500)
}

func TestIllegalMessagesDie(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	for _, sql := range []string{
		`INSERT INTO outbox (topic, payload) VALUES ($1, '')`,
		`INSERT INTO outbox (topic, payload, headers) VALUES ($1, 'x', '[1]')`,
		`INSERT INTO outbox (topic, payload, headers) VALUES ($1, 'x', '{"KEYS": "mine"}')`,
		`INSERT INTO outbox (topic, payload, dedup_key) VALUES ($1, 'x', 'two words')`,
		`INSERT INTO outbox (topic, payload, deliver_at) VALUES ($1, 'x', now())`,
		`INSERT INTO outbox (topic, payload, tag) VALUES ($1, 'x', 'a||b')`,
		`INSERT INTO outbox (topic, payload) VALUES ($1, decode(repeat('00', 4194305), 'hex'))`,
		`INSERT INTO outbox (topic, payload) VALUES ($1, 'a good neighbour')`,
	} {
		_, err := w.db.Exec(t.Context(), sql, w.topic)
		require.NoError(t, err)
	}
	w.start()
	w.drained()
	w.exactly(8, 1, 2, 3, 4, 5, 6, 7)
	var reasons []string
	require.NoError(t, w.db.QueryRow(t.Context(), `SELECT array_agg(reason ORDER BY id) FROM outbox_dead`).Scan(&reasons))
	assert.Equal(t, "body_empty bad_headers bad_headers bad_properties not_allowed bad_properties body_too_large", strings.Join(reasons, " "))
	assert.Equal(t, 4194305, w.number(`SELECT octet_length(payload) FROM outbox_dead WHERE id = 7`), "the payload is kept")
}

func (w *world) number(sql string) (n int) {
	w.t.Helper()
	require.NoError(w.t, w.db.QueryRow(w.t.Context(), sql).Scan(&n))
	return n
}

// smallBroker refuses bodies that the relay's own rules allow.
func TestMessageTheBrokerCallsIllegalDies(t *testing.T) {
	t.Parallel()
	w, _ := worldWithBroker(t, map[string]string{"maxMessageSize": "1024"})
	_, err := w.db.Exec(t.Context(), `INSERT INTO outbox (topic, ordering_key, payload)
		VALUES ('orders', 'a', 'x'), ('orders', 'a', decode(repeat('00', 2000), 'hex')), ('orders', 'a', 'behind it'), ('orders', 'b', 'x')`)
	require.NoError(t, err)
	w.start()
	require.Eventually(t, func() bool {
		return w.count("outbox") == 1 && w.count("outbox_dead WHERE reason = 'message_illegal'") == 1
	},
		patience, 20*time.Millisecond)
	w.exactly(4, 2, 3)
	_, err = w.db.Exec(t.Context(), `DELETE FROM outbox_dead`)
	require.NoError(t, err)
	w.drained()
	w.exactly(4, 2)
}
