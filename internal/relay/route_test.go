package relay

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
)

// A key that moved to another queue would overtake itself: these values must never change.
func TestQueueIndexIsFixed(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]int{"customer-1": 7, "customer-2": 2, "": 5, "日本": 1} {
		assert.Equal(t, want, queueIndex(key, 8), key)
	}
}

func TestQueueIndexSpreads(t *testing.T) {
	t.Parallel()
	counts := make([]int, 8)
	for i := range 8000 {
		counts[queueIndex("customer-"+strconv.Itoa(i), 8)]++
	}
	for q, n := range counts {
		assert.Greater(t, n, 700, "queue %d", q)
	}
}

func TestOrderedRowsNeverMove(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	fixed := []Queue{{"b1", 0}, {"b1", 1}, {"b2", 0}, {"b2", 1}}
	topic := b.topics["t"]
	topic.Queues = fixed
	b.topics["t"] = topic
	b.mq.queues = func(string) []Queue { return []Queue{{"b1", 0}} } // most of the list is away
	up := map[string]bool{"b1": true, "b2": true}
	b.mq.address = func(broker string) (string, bool) { return broker, up[broker] }
	for i := range 50 {
		key := "customer-" + strconv.Itoa(i)
		want := fixed[queueIndex(key, 4)]
		q, _, ok := b.routes().pick(ordered(1, key))
		assert.True(t, ok)
		assert.Equal(t, want, q)

		up[want.Broker] = false
		_, at, ok := b.routes().pick(ordered(1, key))
		assert.False(t, ok, "it waits for its broker")
		assert.Equal(t, pauseKey{want.Broker, "t"}, at)
		up[want.Broker] = true
	}
	b.pauses.add("b2", "t", ReasonBusy)
	for i := range 50 {
		key := "customer-" + strconv.Itoa(i)
		_, _, ok := b.routes().pick(ordered(1, key))
		assert.Equal(t, fixed[queueIndex(key, 4)].Broker == "b1", ok, "b2 is paused")
	}
}

func TestUnorderedRowsTakeTurns(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.mq.queues = func(string) []Queue { return []Queue{{"b1", 0}, {"b1", 1}, {"b2", 0}, {"b2", 1}} }
	counts := make(map[Queue]int)
	routes := b.routes()
	assert.ElementsMatch(t, []string{"b1", "b2"}, routes.brokers())
	for range 40 {
		q, _, ok := routes.pick(plain(1))
		assert.True(t, ok)
		counts[q]++
	}
	assert.Equal(t, map[Queue]int{{"b1", 0}: 10, {"b1", 1}: 10, {"b2", 0}: 10, {"b2", 1}: 10}, counts)

	b.pauses.add("b1", "t", ReasonBusy) // in the middle of the read
	for range 10 {
		q, _, ok := routes.pick(plain(1))
		assert.True(t, ok)
		assert.Equal(t, "b2", q.Broker)
	}
	assert.Equal(t, []Queue{{"b2", 0}, {"b2", 1}}, b.routes().topics["t"].all)
	assert.Len(t, b.routes().topics["u"].all, 4, "only t is paused")
	b.pauses.add("b2", "", ReasonLost)
	_, at, ok := routes.pick(plain(1))
	assert.False(t, ok)
	assert.Equal(t, pauseKey{"", "t"}, at, "any broker will do")
	assert.False(t, b.routes().reach("t"), "its rows are not even read")
	assert.True(t, b.routes().reach("u"))
}

func TestOneProbeIsPickedAfterAPause(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *Config) { c.Retry = Backoff{Initial: 1, Factor: 1, Max: 1} })
	b.pauses.add("b", "t", ReasonBusy)
	routes := b.routes()
	_, _, first := routes.pick(plain(1))
	_, _, second := routes.pick(plain(2))
	_, _, third := routes.pick(ordered(3, "k"))
	assert.True(t, first)
	assert.False(t, second, "its answer is awaited")
	assert.False(t, third)
}

func TestStrandedRowsGoOnWhereTheyCan(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	up := true
	b.mq.address = func(broker string) (string, bool) { return broker, up }
	assert.True(t, b.routes().takes(pauseKey{"b", "t"}))
	assert.True(t, b.routes().takes(pauseKey{"", "t"}))
	assert.False(t, b.routes().takes(pauseKey{"b", "unbound"}))
	up = false
	assert.False(t, b.routes().takes(pauseKey{"b", "t"}))
	up = true
	routes := b.routes()
	b.pauses.add("b", "", ReasonLost)
	assert.False(t, routes.takes(pauseKey{"b", "t"}))
	assert.False(t, routes.takes(pauseKey{"", "t"}))
}
