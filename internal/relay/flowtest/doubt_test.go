package flowtest

import (
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/outbox-relay/outbox-relay/internal/relay"
	"github.com/outbox-relay/outbox-relay/internal/stack"
	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
)

// errLost stands for a connection that broke after the request had gone out.
var errLost = errors.New("connection lost")

// doubtful is the real broker behind a network that loses some commits, and the answers to others.
type doubtful struct {
	relay.Broker
	mu   sync.Mutex
	rand *rand.Rand
	lost atomic.Int64
}

func (d *doubtful) Commit(address string, halves []relay.StoredHalf, timeout time.Duration, answered func(int, relay.Answer)) {
	var real []int
	for i := range halves {
		d.mu.Lock()
		fate := d.rand.IntN(40)
		d.mu.Unlock()
		switch fate {
		case 0: // the request is lost: it was written, and never arrived
			d.lost.Add(1)
			answered(i, relay.Answer{Err: errLost, Sent: true})
		case 1: // the answer is lost
			d.lost.Add(1)
			d.Broker.Commit(address, halves[i:i+1], timeout, func(int, relay.Answer) {
				answered(i, relay.Answer{Err: errLost, Sent: true})
			})
		case 2: // the answer is late
			d.lost.Add(1)
			d.Broker.Commit(address, halves[i:i+1], timeout, func(_ int, a relay.Answer) {
				a.Took = timeout + time.Second
				answered(i, a)
			})
		case 3: // the connection broke before the request went out
			answered(i, relay.Answer{Err: errLost})
		default:
			real = append(real, i)
		}
	}
	some := make([]relay.StoredHalf, len(real))
	for n, i := range real {
		some[n] = halves[i]
	}
	if len(some) > 0 {
		d.Broker.Commit(address, some, timeout, func(n int, a relay.Answer) { answered(real[n], a) })
	}
}

func TestLostCommitsAndAnswersAreResolvedByReading(t *testing.T) {
	t.Parallel()
	stacktest.Needs(t, stack.Fence)
	w := newWorld(t, 4)
	w.insert(300, "a", "", "b", "", "c", "d", "", "e", "f")
	network := &doubtful{rand: rand.New(rand.NewPCG(1, 2))}
	w.startOn(w.settings(), func(b relay.Broker) relay.Broker {
		network.Broker = b
		return network
	})
	w.drained()
	w.exactly(300)
	assert.Positive(t, network.lost.Load())
}
