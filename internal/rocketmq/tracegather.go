package rocketmq

import (
	"strings"
	"time"
)

// Limits of one message of the trace, as in Java's AsyncTraceDispatcher, and that on keys, which it lacks: a broker refuses
// more than 32,767 bytes of properties.
const (
	traceRecords  = 100
	traceBody     = 128_000 - 10_000
	traceKeys     = 30_000
	traceLongKeys = 8_000 // those of one record; longer ones are in the record but not in the index
	traceLinger   = 50 * time.Millisecond
)

// A traceMessage is a number of records that go out as one message. Its keys are the ids and keys of the messages that they
// are about, by which tools find it.
type traceMessage struct {
	topic   string
	body    []byte
	keys    []byte // separated by spaces
	seen    map[string]bool
	records int
}

// A traceGather collects records into messages, one under way for each topic.
type traceGather struct {
	open  map[string]*traceMessage
	timer *time.Timer
}

// add takes in a record and returns the messages that are full.
func (g *traceGather) add(topic string, record []byte, msgID, keys string) (full []traceMessage) {
	if len(keys) > traceLongKeys {
		keys = ""
	}
	m := g.open[topic]
	if m != nil && (len(m.body)+len(record) > traceBody || len(m.keys)+len(msgID)+len(keys)+2 > traceKeys) {
		full = append(full, *m)
		m = nil
	}
	if m == nil {
		if len(g.open) == 0 {
			g.timer = time.NewTimer(traceLinger)
			g.open = make(map[string]*traceMessage)
		}
		m = &traceMessage{topic: topic, seen: make(map[string]bool)}
		g.open[topic] = m
	}
	m.body = append(m.body, record...)
	m.records++
	for _, key := range append(strings.Fields(keys), msgID) {
		if !m.seen[key] && !strings.ContainsAny(key, "\x01\x02") {
			m.seen[key] = true
			m.keys = append(append(m.keys, key...), ' ')
		}
	}
	if m.records == traceRecords {
		full = append(full, *m)
		delete(g.open, topic)
	}
	return full
}

// due tells when what is there has waited long enough; never, if nothing is.
func (g *traceGather) due() <-chan time.Time {
	if len(g.open) == 0 {
		return nil
	}
	return g.timer.C
}

// take returns what is there.
func (g *traceGather) take() []traceMessage {
	var all []traceMessage
	for _, m := range g.open {
		all = append(all, *m)
	}
	g.open = nil
	return all
}
