// Package audit compares what an application committed with what a consumer received.
package audit

import (
	"sync"
	"time"
)

// Audit notes what happens and judges it at the end. It is safe for concurrent use.
type Audit struct {
	mu         sync.Mutex
	committed  map[string]commit
	rolledBack map[string]bool
	deliveries []Delivery          // in the order of arrival, each stored message once
	seen       map[place]bool      // stored messages that were delivered
	ids        map[string]struct{} // that were delivered
	again      int
}

type commit struct {
	customer string
	number   int64
	at       time.Time
}

// place is where one stored message lies.
type place struct {
	broker string
	queue  int
	offset int64
}

// Delivery is one message as a consumer received it.
type Delivery struct {
	ID       string // what was committed, or rolled back, under this id
	Customer string
	Number   int64
	Broker   string
	Queue    int
	Offset   int64 // in the queue
	At       time.Time
}

// New returns an empty Audit.
func New() *Audit {
	return &Audit{
		committed:  make(map[string]commit),
		rolledBack: make(map[string]bool),
		seen:       make(map[place]bool),
		ids:        make(map[string]struct{}),
	}
}

// Committed notes that a transaction has committed: COMMIT had returned at the time at. number counts the customer's orders.
func (a *Audit) Committed(id, customer string, number int64, at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.committed[id] = commit{customer: customer, number: number, at: at}
}

// RolledBack notes that a transaction was rolled back.
func (a *Audit) RolledBack(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.rolledBack[id] = true
}

// Delivered notes a message. Calls for one customer must come in the order in which the consumer got them.
func (a *Audit) Delivered(d Delivery) {
	a.mu.Lock()
	defer a.mu.Unlock()
	at := place{broker: d.Broker, queue: d.Queue, offset: d.Offset}
	if a.seen[at] {
		// RocketMQ hands a consumer the same stored message again when queues change hands: that is no second message.
		a.again++
		return
	}
	a.seen[at] = true
	a.ids[d.ID] = struct{}{}
	a.deliveries = append(a.deliveries, d)
}

// Counts are what is known so far.
type Counts struct {
	Committed, RolledBack int
	Delivered             int // different ids
}

// Counts returns what is known so far.
func (a *Audit) Counts() Counts {
	a.mu.Lock()
	defer a.mu.Unlock()
	return Counts{Committed: len(a.committed), RolledBack: len(a.rolledBack), Delivered: len(a.ids)}
}

// Complete reports whether everything that was committed has been delivered.
func (a *Audit) Complete() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for id := range a.committed {
		if _, ok := a.ids[id]; !ok {
			return false
		}
	}
	return true
}
