package simtest

import (
	"sync"
	"time"
)

// Clocks that are wrong, and are set while everything runs. What has passed is the same for all: the bubble's time.

// mostWrong is how wrong a clock is at most.
const mostWrong = 2 * time.Minute

// now is what the broker's clock shows. It is called with the lock held.
func (b *memBroker) now() time.Time { return time.Now().Add(b.skew) }

// runClock sets the broker's clock now and then, in the worlds where clocks are set.
//
// A clock that is set back lets the broker accept what it has refused. The promise has a condition for it: no commit whose
// window is over is still on its way. So all connections are cut with it, as by a restart: what was on its way, or is sent
// by a relay that is frozen in the middle of sending it, does not arrive.
func (b *memBroker) runClock(until time.Time) {
	c := b.w.chance
	for b.rules.clockSetBack && time.Now().Before(until) { // most of the time it is right
		time.Sleep(c.between(15*time.Second, 25*time.Second))
		b.setClock(-mostWrong)
		time.Sleep(c.between(4*time.Second, 12*time.Second))
		b.setClock(0)
	}
	for b.w.set && time.Now().Before(until) {
		time.Sleep(c.between(time.Second, 20*time.Second))
		b.setClock(c.between(-mostWrong, mostWrong))
	}
}

func (b *memBroker) setClock(skew time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if skew < b.skew && !b.rules.clockSetBack {
		b.cut++
	}
	b.w.trace.add("the clock of %s is set from %s to %s", b.name, b.skew, skew)
	b.skew = skew
}

// line numbers the connections to the broker: what is sent on one does not arrive on the next.
func (b *memBroker) line() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.cut
}

// newClock returns the wall clock of a life: right, wrong by minutes, or set now and then.
func (l *life) newClock() func() time.Time {
	c := l.w.chance
	var mu sync.Mutex
	var ahead time.Duration
	var next time.Time
	if l.w.set && c.hit(0.7) {
		ahead, next = c.between(-mostWrong, mostWrong), time.Now().Add(c.between(0, 30*time.Second))
	}
	return func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		if now := time.Now(); !next.IsZero() && now.After(next) && !c.calm.Load() {
			ahead, next = c.between(-mostWrong, mostWrong), now.Add(c.between(time.Second, 20*time.Second))
			l.w.trace.add("the clock of %s is set to %s", l.name, ahead)
		}
		return time.Now().Add(ahead)
	}
}
