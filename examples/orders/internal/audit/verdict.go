package audit

// Verdict is what the audit found.
type Verdict struct {
	Committed  int
	Delivered  int // ids that were committed and arrived
	RolledBack int

	Duplicated          int // messages beyond the first of an id
	Lost                int // committed, never delivered
	RolledBackDelivered int
	OutOfOrder          int // arrived after a later one of the same customer, or in another queue than the customer's first
	Unknown             int // delivered, but neither committed nor rolled back, or with another customer or number
	Missed              int // offsets of the topic that the consumer skipped: it may have missed what would be a duplicate

	Redelivered int // the same stored message handed out again; the consumer's business, no fault of the relay
}

// OK reports whether everything that was committed arrived exactly once and in order, and nothing else.
func (v Verdict) OK() bool {
	return v.Duplicated+v.Lost+v.RolledBackDelivered+v.OutOfOrder+v.Unknown+v.Missed == 0
}

// Verdict judges what was noted so far.
func (a *Audit) Verdict() Verdict {
	a.mu.Lock()
	defer a.mu.Unlock()
	v := Verdict{Committed: len(a.committed), RolledBack: len(a.rolledBack), Redelivered: a.again}
	copies := make(map[string]int)
	order := newOrder()
	for _, d := range a.deliveries {
		copies[d.ID]++
		if copies[d.ID] > 1 {
			v.Duplicated++
			continue
		}
		c, known := a.committed[d.ID]
		switch {
		case a.rolledBack[d.ID]:
			v.RolledBackDelivered++
		case !known || c.customer != d.Customer || c.number != d.Number:
			v.Unknown++
		}
		if !order.next(d) {
			v.OutOfOrder++
		}
	}
	for id := range a.committed {
		if copies[id] > 0 {
			v.Delivered++
		}
	}
	v.Lost = v.Committed - v.Delivered
	v.Missed = missed(a.deliveries)
	return v
}

// order follows each customer.
type order struct {
	last map[string]Delivery
}

func newOrder() order { return order{last: make(map[string]Delivery)} }

// next reports whether d may come after what came before.
func (o order) next(d Delivery) bool {
	last, seen := o.last[d.Customer]
	if !seen {
		o.last[d.Customer] = d
		return true
	}
	if d.Number < last.Number {
		return false
	}
	o.last[d.Customer] = d
	return d.Broker == last.Broker && d.Queue == last.Queue
}

// missed counts the gaps in what was read: the queues of a fresh topic begin at 0.
func missed(deliveries []Delivery) int {
	type queue struct {
		broker string
		id     int
	}
	read, end := make(map[queue]int64), make(map[queue]int64)
	for _, d := range deliveries {
		q := queue{broker: d.Broker, id: d.Queue}
		read[q]++
		end[q] = max(end[q], d.Offset+1)
	}
	n := 0
	for q := range end {
		n += int(end[q] - read[q])
	}
	return n
}
