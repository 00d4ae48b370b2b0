package relay

import (
	"sync"
	"time"
)

// How long a half can be committed, and how the broker treats it until then.
//
// A broker refuses to commit a half that is older than its CHECK_IMMUNITY_TIME_IN_SECONDS and than transactionTimeOut. The property
// has a price: the check service stores each half anew that is younger than it and of whose commit it has not read yet, asks about
// the copy in its next round, and has to be told to forget it (TransactionalMessageServiceImpl.check, RocketMQ 5.3). With 10 s
// and 30,000 messages a second that was every eighth message in a long drain. Where transactionTimeOut alone is a window
// that is long enough, the property is the least there is: the broker refuses from then on all the same.

const (
	// leastImmunity is the shortest property that a broker reads.
	leastImmunity = time.Second
	// lateFor is how long the halves for a broker have the whole window after a commit that came too late for the short one.
	lateFor = 10 * time.Minute
)

// A term is how long the broker accepts the commit of a half, as far as is known, and the property that the half carries. The ledger
// and the resolver go by Config.Window all the same: they only wait longer.
type term struct{ window, immunity time.Duration }

// BrokerSettings are what the relay goes by, of a broker that can be asked what it is set to. 0 = not known.
type BrokerSettings struct {
	MaxBody            int           // maxMessageSize, bytes
	TransactionTimeout time.Duration // transactionTimeOut, 6 s unless set (RocketMQ 5.3 BrokerConfig)
}

// brokerSettings are those of all brokers that could be asked, and until when each gets halves with the whole window.
type brokerSettings struct {
	mu    sync.Mutex
	known map[string]BrokerSettings
	late  map[string]time.Time
}

// SetBroker tells the relay what a broker is set to.
func (r *Relay) SetBroker(broker string, s BrokerSettings) {
	r.settings.mu.Lock()
	defer r.settings.mu.Unlock()
	r.settings.known[broker] = s
}

func (r *Relay) maxBody(broker string) int {
	r.settings.mu.Lock()
	defer r.settings.mu.Unlock()
	return r.settings.known[broker].MaxBody
}

// term returns that of the next halves for a broker. Nothing rests on it: a broker that refuses earlier than was thought refuses, and one
// that does so later lets a doubt wait until it does.
func (r *Relay) term(broker string) term {
	r.settings.mu.Lock()
	defer r.settings.mu.Unlock()
	timeout := r.settings.known[broker].TransactionTimeout
	least := max(r.cfg.Window/2, 2*r.cfg.CommitTimeout, leastImmunity) // less would be another window than was asked for
	if timeout < least || time.Now().Before(r.settings.late[broker]) {
		return term{window: r.cfg.Window, immunity: r.cfg.Window}
	}
	return term{window: min(timeout, r.cfg.Window), immunity: leastImmunity}
}

// late notes that a commit came after its window, or would have: a broker that is so slow gets the longer one for a while.
func (r *Relay) late(broker string) {
	r.settings.mu.Lock()
	defer r.settings.mu.Unlock()
	r.settings.late[broker] = time.Now().Add(lateFor)
}
