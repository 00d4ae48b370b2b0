package chaos

import (
	"fmt"
	"slices"
)

// Delivery is a message as it lies on the topic.
type Delivery struct {
	Event
	Broker       string
	Queue        int
	Offset       int64
	UniqKey, Row string // for whoever looks for the cause
	Span         int    // during which it came
}

func (d Delivery) String() string {
	return fmt.Sprintf("event %d (%s %d, row %s) at %s/%d offset %d as %s", d.ID, d.Key, d.Number, d.Row, d.Broker, d.Queue, d.Offset, d.UniqKey)
}

// Counts are the verdict on one span. From Lost to Foreign all must be 0.
type Counts struct {
	Committed     int `json:"committed"`      // events, by when they were committed
	Delivered     int `json:"delivered"`      // of them, at least once, whenever
	Lost          int `json:"lost"`           // of them, never
	Duplicated    int `json:"duplicated"`     // messages too many, by when they came
	Reordered     int `json:"reordered"`      // messages behind a later one of their key, or on another queue than it
	AfterRollback int `json:"after_rollback"` // messages whose transaction was rolled back
	Foreign       int `json:"foreign"`        // messages that nobody wrote, or whose content is another
	// Waiting counts events that are still in the outbox, for a reason: only where a broker has gone for good.
	Waiting int `json:"waiting,omitempty"`
	// Listed counts those whose outcome cannot be known, whether they wait or have arrived.
	Listed int `json:"listed,omitempty"`
}

func (c *Counts) add(o Counts) {
	c.Committed += o.Committed
	c.Delivered += o.Delivered
	c.Lost += o.Lost
	c.Duplicated += o.Duplicated
	c.Reordered += o.Reordered
	c.AfterRollback += o.AfterRollback
	c.Foreign += o.Foreign
	c.Waiting += o.Waiting
	c.Listed += o.Listed
}

// violations counts what must not be.
func (c Counts) violations() int {
	return c.Lost + c.Duplicated + c.Reordered + c.AfterRollback + c.Foreign
}

// Verdict is what an audit found.
type Verdict struct {
	Spans    map[int]*Counts
	Findings []string // each violation with its place, the first hundred
}

const maxFindings = 100

func (v *Verdict) of(span int) *Counts {
	c := v.Spans[span]
	if c == nil {
		c = &Counts{}
		v.Spans[span] = c
	}
	return c
}

func (v *Verdict) find(format string, args ...any) {
	if len(v.Findings) < maxFindings {
		v.Findings = append(v.Findings, fmt.Sprintf(format, args...))
	}
}

// Judge compares the topic with the books. tried are the events of transactions that were begun and that nobody saw
// committed; deliveries are in the order of each queue.
func Judge(book []Entry, tried map[int64]int, deliveries []Delivery) *Verdict {
	v := &Verdict{Spans: make(map[int]*Counts)}
	committed := make(map[int64]Entry, len(book))
	for _, e := range book {
		committed[e.ID] = e
		v.of(e.Span).Committed++
	}
	first := make(map[int64]Delivery, len(book))
	keys := make(map[string]Delivery)
	for _, d := range deliveries {
		e, known := committed[d.ID]
		switch {
		case !known:
			v.unknown(d, tried)
			continue
		case e.Event != d.Event:
			v.of(d.Span).Foreign++
			v.find("another content: %s, committed was %+v", d, e.Event)
			continue
		}
		if before, again := first[d.ID]; again {
			v.of(d.Span).Duplicated++
			v.find("duplicated: %s, and before it %s", d, before)
			continue
		}
		first[d.ID] = d
		v.of(e.Span).Delivered++
		if d.Key != "" {
			v.order(d, keys)
		}
	}
	v.lost(book, first)
	return v
}

// unknown judges a message that is not in the books.
func (v *Verdict) unknown(d Delivery, tried map[int64]int) {
	if _, ok := tried[d.ID]; ok {
		v.of(d.Span).AfterRollback++
		v.find("delivered after a rollback: %s", d)
		return
	}
	v.of(d.Span).Foreign++
	v.find("nobody wrote it: %s", d)
}

// order judges the first message of an event: behind a later one of its key, or on another queue.
func (v *Verdict) order(d Delivery, keys map[string]Delivery) {
	last, seen := keys[d.Key]
	switch {
	case seen && (last.Queue != d.Queue || last.Broker != d.Broker):
		v.of(d.Span).Reordered++
		v.find("reordered: %s is on another queue than %s", d, last)
		return
	case seen && last.Number > d.Number:
		v.of(d.Span).Reordered++
		v.find("reordered: %s came after %s", d, last)
		return
	}
	keys[d.Key] = d
}

func (v *Verdict) lost(book []Entry, first map[int64]Delivery) {
	var lost []Entry
	for _, e := range book {
		if _, ok := first[e.ID]; !ok {
			lost = append(lost, e)
		}
	}
	slices.SortFunc(lost, func(a, b Entry) int { return int(a.ID - b.ID) })
	for _, e := range lost {
		v.of(e.Span).Lost++
		v.find("lost: event %d (%s %d), committed during span %d", e.ID, e.Key, e.Number, e.Span)
	}
}
