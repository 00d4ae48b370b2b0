package flowtest

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/relay"
	"github.com/outbox-relay/outbox-relay/internal/stack"
	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
)

// lossy is the real broker behind a network that loses some plain sends, and the answers to others.
type lossy struct {
	relay.Broker
	mu   sync.Mutex
	rand *rand.Rand
	lost atomic.Int64
}

func (l *lossy) Send(address string, requests [][]relay.Half, answered func(int, relay.Answer)) {
	for i := range requests {
		l.mu.Lock()
		fate := l.rand.IntN(8)
		l.mu.Unlock()
		switch fate {
		case 0: // the request is lost
			l.lost.Add(1)
			answered(i, relay.Answer{Err: errLost, Sent: true})
		case 1: // the answer is lost
			l.lost.Add(1)
			l.Broker.Send(address, requests[i:i+1], func(int, relay.Answer) { answered(i, relay.Answer{Err: errLost, Sent: true}) })
		case 2: // the connection broke before
			answered(i, relay.Answer{Err: errLost})
		default:
			l.Broker.Send(address, requests[i:i+1], func(_ int, a relay.Answer) { answered(i, a) })
		}
	}
}

// What is in doubt is looked for, on its queue or where the broker keeps it until it is due, and sent again only if it is absent.
// Nothing here arrives late, so everything arrives once.
func TestLostSendsAndAnswersAreResolvedByReading(t *testing.T) {
	t.Parallel()
	k := newKinds(t)
	k.rows("sync", 60, 0)
	k.rows("async", 60, 0)
	k.rows("fifo", 60, 0, "a", "b", "c")
	k.rows("delay", 30, 4*time.Second)
	cfg := k.settings()
	k.config(&cfg)
	cfg.SendMessages = 4
	network := &lossy{rand: rand.New(rand.NewPCG(1, 2))}
	k.startOn(cfg, func(b relay.Broker) relay.Broker {
		network.Broker = b
		return network
	})
	k.drained()
	k.once("sync", 60)
	k.once("async", 60)
	k.once("fifo", 60)
	require.Eventually(t, func() bool { return len(k.on("delay")) == 30 }, patience, 50*time.Millisecond)
	k.once("delay", 30)
	assert.Positive(t, network.lost.Load())
}

// With delivery at_least_once a commit in doubt is not looked for: when the window is over the row is sent again.
// blindBroker cannot be read, like one behind a proxy.
type blindBroker struct{ relay.Broker }

func (*blindBroker) Lookup(context.Context, string, string, string) (bool, error) {
	return false, errLost
}

func (*blindBroker) ReadBack(context.Context, string, relay.TopicQueue, int64, func(string)) (relay.ReadProof, error) {
	return relay.ReadProof{}, errLost
}

func TestAtLeastOnceIsNotRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 4)
	w.insert(200, "a", "", "b")
	cfg := w.settings()
	cfg.Topics[0].Delivery = relay.AtLeastOnce
	network := &doubtful{rand: rand.New(rand.NewPCG(3, 4))}
	blind := &blindBroker{}
	w.startOn(cfg, func(b relay.Broker) relay.Broker {
		network.Broker = b
		blind.Broker = network
		return blind
	})
	w.drained()
	times := make(map[string]int)
	for _, m := range w.read() {
		times[m.Properties["outbox-id"]]++
	}
	assert.Len(t, times, 200, "every row is there")
	doubled := 0
	for _, n := range times {
		doubled += n - 1
	}
	assert.Positive(t, doubled, "what was confirmed to nobody was sent again")
	assert.Positive(t, network.lost.Load())
}

// Stored, perhaps not safely: the row is sent again under the same deduplication key, although its message is visible, and settled
// only when the broker says that it is safe. On a FIFO topic the rows behind it wait.
func TestPlainMessagesThatAreNotSafeAreSentAgain(t *testing.T) {
	t.Parallel()
	stacktest.Needs(t, stack.InSyncReplicas)
	w, broker := worldWithBroker(t, map[string]string{
		"brokerRole": "SYNC_MASTER", "totalReplicas": "2", "inSyncReplicas": "2", "slaveTimeout": "300",
	})
	require.NoError(t, broker.CreateTopic(t.Context(), "stream", 4, "FIFO"))
	k := &kinds{world: w, topics: map[string]relay.Topic{
		"fifo": {Name: "stream", Type: relay.TypeFIFO, Delivery: relay.AtLeastOnce, OnDead: relay.OnDeadBlock},
	}}
	k.rows("fifo", 3, 0, "a")
	w.start(k.config, func(c *relay.Config) { c.SendMessages = 1 })
	require.Eventually(t, func() bool { return w.row(1).attempts >= 2 }, patience, 50*time.Millisecond)
	assert.Contains(t, w.row(1).lastError, "flush_slave_timeout")
	assert.True(t, w.row(1).putOff)
	assert.Zero(t, w.row(2).attempts, "it waits behind row 1")
	w.set(broker, "inSyncReplicas", "1")
	w.drained()
	rows := k.on("fifo")
	assert.Len(t, rows, 3)
	assert.GreaterOrEqual(t, len(rows[1]), 3, "once for each attempt")
	for _, m := range rows[1] {
		assert.Equal(t, rows[1][0].Properties["outbox-dedup-key"], m.Properties["outbox-dedup-key"])
	}
	assert.Len(t, rows[2], 1)
	assert.Len(t, rows[3], 1)
}
