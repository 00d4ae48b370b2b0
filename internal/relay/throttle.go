package relay

import "sync"

// How many halves may wait for a broker's answer at once. A broker drops what waits in its queue for longer than 200 ms
// (BrokerConfig.waitTimeMillsInSendQueue) with code 2, so more in flight than it can store in that time is worse than
// useless; how many that is depends on its disk and its other clients.
const (
	throttleStart = 256
	throttleLeast = 16
)

// throttle follows the brokers' answers: a batch that went through lets a few more go at once, one that did not halves them.
type throttle struct {
	most    int
	mu      sync.Mutex
	brokers map[string]*throttled
}

type throttled struct {
	limit int
	under int // sent or about to be, and not answered
}

func newThrottle(most int) *throttle {
	return &throttle{most: most, brokers: make(map[string]*throttled)}
}

func (t *throttle) of(broker string) *throttled {
	b := t.brokers[broker]
	if b == nil {
		b = &throttled{limit: min(throttleStart, t.most)}
		t.brokers[broker] = b
	}
	return b
}

// room returns how many more messages the brokers take together; 0 also while that is but a crumb of what they take: a batch
// costs the same round trips whatever is in it.
func (t *throttle) room(brokers []string) (room int) {
	const crumb = 4
	t.mu.Lock()
	defer t.mu.Unlock()
	limit := 0
	for _, name := range brokers {
		b := t.of(name)
		room += max(0, b.limit-b.under)
		limit += b.limit
	}
	if room*crumb < min(limit, t.most/crumb) {
		return 0
	}
	return room
}

// add counts halves that are on their way.
func (t *throttle) add(broker string, n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.of(broker).under += n
}

// done takes back what add counted, once the halves are answered or given up.
func (t *throttle) done(broker string, n int) { t.add(broker, -n) }

// answered adapts the limit to the answers to n halves.
func (t *throttle) answered(broker string, n int, well bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.of(broker)
	if well {
		b.limit = min(t.most, b.limit+max(1, n/8))
	} else {
		b.limit = max(throttleLeast, b.limit/2)
	}
}
