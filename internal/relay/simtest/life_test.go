package simtest

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/outbox-relay/outbox-relay/internal/relay"
)

// errKilled is what calls of a dead relay come back with: nobody is there to see it.
var errKilled = errors.New("the process is dead")

// life is one process: what its relay asks of the store and the broker goes through it, and stops when it is frozen or
// killed. What was on its way by then takes its effect all the same.
type life struct {
	w        *world
	name     string
	instance string
	stop     context.CancelFunc
	ended    chan struct{} // closed when Run has returned

	mu      sync.Mutex
	session uuid.UUID // the last that was opened
	dead    bool
	frozen  chan struct{} // nil, or closed when the process goes on
}

// hold waits while the process is frozen. False if it is dead.
func (l *life) hold() bool {
	for {
		l.mu.Lock()
		dead, frozen := l.dead, l.frozen
		l.mu.Unlock()
		if dead {
			return false
		}
		if frozen == nil {
			return true
		}
		<-frozen
	}
}

func (l *life) opens(session uuid.UUID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.session = session
}

func (l *life) lastSession() uuid.UUID {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.session
}

func (l *life) isDead() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dead
}

// kill ends the process between two instants. Its goroutines still have to end, but nothing they do gets out.
func (l *life) kill() {
	l.w.trace.add("%s is killed", l.name)
	l.mu.Lock()
	l.dead = true
	l.mu.Unlock()
	l.thaw()
	l.stop()
}

func (l *life) freeze() {
	l.w.trace.add("%s is frozen", l.name)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.frozen == nil {
		l.frozen = make(chan struct{})
	}
}

func (l *life) thaw() {
	l.w.trace.add("%s goes on", l.name)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.frozen != nil {
		close(l.frozen)
		l.frozen = nil
	}
}

// at is called by the relay at named points of its flow. There it is killed or frozen more often than between any two other
// instants, because most of the time it only waits.
func (l *life) at(p relay.Point) {
	c := l.w.chance
	switch {
	case p == relay.PointRead || l.isDead():
	case c.fault(0.004):
		l.w.trace.add("%s: %s", l.name, p)
		l.kill()
	case c.fault(0.004):
		l.w.trace.add("%s: %s", l.name, p)
		l.freeze()
		l.w.fly(func() {
			time.Sleep(c.between(time.Second, longestTravel))
			l.thaw()
		})
	}
}

// end waits until Run has returned. False if it does not.
func (l *life) end(patience time.Duration) bool {
	select {
	case <-l.ended:
		return true
	case <-time.After(patience):
		return false
	}
}
