package txcheck

import "time"

// OriginProperty is the user property that names the outbox a message comes from: the uuid that its migration made.
const OriginProperty = "outbox-origin"

// A Half is what a broker tells about a half message when it asks what became of it. Nothing of the body is in it.
type Half struct {
	UniqKey string    // property UNIQ_KEY, which is also the transaction id
	Topic   string    // the topic the message is meant for
	Group   string    // property PGROUP: the producer group that sent it and is asked
	Origin  string    // property OriginProperty; "" if there is none
	Born    time.Time // the message's born timestamp: the clock of the relay that sent it, in milliseconds
	// Window is how long after Born the broker accepts a direct commit: property CHECK_IMMUNITY_TIME_IN_SECONDS, 0 if the half
	// has none. It is the half's own, so it holds also after the setting was changed.
	Window time.Duration
	// Checks counts how often the broker has asked before: property TRANSACTION_CHECK_TIMES. At 15 (BrokerConfig
	// transactionCheckMax) it gives up and moves the half to TRANS_CHECK_MAX_TIME_TOPIC.
	Checks int
}
