package simtest

import (
	"fmt"
	"time"

	"github.com/outbox-relay/outbox-relay/internal/relay"
)

// Topics of the simulation: behind a dead row of the one a key waits, of the next it goes on. The others promise less.
const (
	topicBlock   = "blocking"
	topicSkip    = "skipping"
	topicLenient = "lenient" // transactional, at least once
	topicFIFO    = "fifo"
	topicSync    = "sync"
	topicAsync   = "async"
	topicDelay   = "delay"
)

// topics are those that every relay binds.
func topics() []relay.Topic {
	half := func(name, delivery, onDead string) relay.Topic {
		return relay.Topic{Name: name, Type: relay.TypeTransaction, Delivery: delivery, OnDead: onDead}
	}
	plain := func(name, kind, mode string) relay.Topic {
		return relay.Topic{Name: name, Type: kind, Mode: mode, Delivery: relay.AtLeastOnce, OnDead: relay.OnDeadBlock}
	}
	return []relay.Topic{
		half(topicBlock, relay.ExactlyOnce, relay.OnDeadBlock),
		half(topicSkip, relay.ExactlyOnce, relay.OnDeadSkip),
		half(topicLenient, relay.AtLeastOnce, relay.OnDeadBlock),
		plain(topicFIFO, relay.TypeFIFO, ""),
		plain(topicSync, relay.TypeNormal, relay.ModeSync),
		plain(topicAsync, relay.TypeNormal, relay.ModeAsync),
		plain(topicDelay, relay.TypeDelay, ""),
	}
}

// exact reports whether a topic promises exactly once.
func exact(topic string) bool { return topic == topicBlock || topic == topicSkip }

// application writes rows, each transaction for one key or for none. Writers of a key take turns, as a row lock makes them.
type application struct {
	w    *world
	keys []keyLock
}

// keyLock is held from before the INSERT to the end of the transaction.
type keyLock struct {
	topic, key string
	lock       chan struct{}
}

func newApplication(w *world) *application {
	a := &application{w: w}
	for _, t := range topics() {
		if w.narrow && !exact(t.Name) {
			continue
		}
		if t.Type == relay.TypeTransaction || t.Type == relay.TypeFIFO {
			for i := range 3 {
				a.keys = append(a.keys, keyLock{t.Name, fmt.Sprintf("k%d", i), make(chan struct{}, 1)})
			}
		}
		if t.Type != relay.TypeFIFO {
			a.keys = append(a.keys, keyLock{t.Name, "", nil})
		}
	}
	return a
}

// run is one writer: one transaction after the other.
func (a *application) run(name string, until time.Time) {
	for n := 0; time.Now().Before(until); n++ {
		time.Sleep(a.w.chance.between(0, 3*time.Second))
		a.transaction(fmt.Sprintf("%s/%d", name, n))
	}
}

func (a *application) transaction(tx string) {
	c := a.w.chance
	k := a.keys[c.below(len(a.keys))]
	a.w.store.begin(tx)
	if k.lock != nil {
		k.lock <- struct{}{}
		defer func() { <-k.lock }()
	}
	var ids []int64
	for range 1 + c.below(4) {
		ids = append(ids, a.insert(tx, k))
		time.Sleep(a.think())
	}
	if c.hit(0.15) {
		a.w.store.rollback(tx, ids)
	} else {
		a.w.store.commit(tx, ids)
	}
}

func (a *application) insert(tx string, k keyLock) int64 {
	row := relay.Row{Topic: k.topic, OrderingKey: k.key, Payload: []byte("payload")}
	if k.topic == topicDelay {
		row.DeliverAt = time.Now().Add(a.w.chance.between(-time.Second, 3*mostDelay))
	}
	illegal := a.w.chance.hit(0.015)
	if illegal && a.w.chance.hit(0.3) {
		row.Payload = nil // refused by the relay itself
	}
	return a.w.store.insert(tx, row, illegal)
}

// think draws how long a transaction does something else.
func (a *application) think() time.Duration {
	if a.w.chance.hit(0.1) {
		return a.w.chance.between(0, 3*time.Second)
	}
	return a.w.chance.between(0, 5*time.Millisecond)
}

// operate is an operator, who looks after dead rows now and then and at times removes a row that nobody wants any more.
func (a *application) operate(until time.Time) {
	c := a.w.chance
	for time.Now().Before(until) {
		time.Sleep(c.between(0, 6*time.Second))
		id := a.w.store.anyDead()
		switch {
		case id != 0 && c.hit(0.5):
			a.w.store.requeue(id)
		case id != 0 && c.hit(0.3):
			a.w.store.discard(id)
		case c.hit(0.3):
			a.w.store.withdraw(a.w.store.anyPending())
		}
	}
}
