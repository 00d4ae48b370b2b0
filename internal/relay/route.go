package relay

import (
	"hash/fnv"
	"slices"
)

// routes says, for the length of one read, where each topic's rows can go.
type routes struct {
	s      *session
	topics map[string]*topicRoute
}

type topicRoute struct {
	topic Topic
	all   []Queue // writable and not paused, for unordered rows
}

// routes looks up the bound topics. A topic that has no queue at the moment is left out: its rows are not read.
func (s *session) routes() routes {
	r := routes{s: s, topics: make(map[string]*topicRoute, len(s.topics))}
	for name, topic := range s.topics {
		t := &topicRoute{topic: topic}
		for _, q := range s.broker.Queues(name) {
			if s.pauses.open(q.Broker, name) {
				t.all = append(t.all, q)
			}
		}
		if len(t.all) > 0 {
			r.topics[name] = t
		}
	}
	return r
}

func (r routes) reach(topic string) bool { return r.topics[topic] != nil }

func (r routes) names() []string {
	names := make([]string, 0, len(r.topics))
	for name := range r.topics {
		names = append(names, name)
	}
	return names
}

// brokers lists the brokers that take unordered rows.
func (r routes) brokers() []string {
	var names []string
	for _, t := range r.topics {
		for _, q := range t.all {
			if !slices.Contains(names, q.Broker) {
				names = append(names, q.Broker)
			}
		}
	}
	return names
}

// pick chooses the row's queue: by its ordering key from the topic's fixed list, or in turn. False if that queue cannot take
// it now; an ordered row never moves to another. at says which broker and topic did not take it.
func (r routes) pick(row *Row) (q Queue, at pauseKey, ok bool) {
	at.topic = row.Topic
	t := r.topics[row.Topic]
	if t == nil {
		return Queue{}, at, false
	}
	if row.OrderingKey != "" {
		q := t.topic.QueueOf(row.OrderingKey)
		at.broker = q.Broker
		if _, up := r.s.broker.Address(q.Broker); !up {
			return Queue{}, at, false
		}
		return q, at, r.s.pauses.admit(q.Broker, row.Topic)
	}
	first := r.s.turn(t.topic)
	for i := range t.all {
		q := t.all[(first+i)%len(t.all)]
		if r.s.pauses.admit(q.Broker, row.Topic) {
			return q, at, true
		}
	}
	return Queue{}, at, false
}

// turn counts unordered rows over queues: one each, or where several go as one request as many as it holds.
func (s *session) turn(t Topic) int {
	s.rotation++
	if t.Type == TypeNormal {
		return s.rotation / s.cfg.SendMessages
	}
	return s.rotation
}

// takes reports whether rows stranded at a broker ("" = any) and topic can go on.
func (r routes) takes(at pauseKey) bool {
	t := r.topics[at.topic]
	if t == nil {
		return false
	}
	if at.broker == "" {
		return slices.ContainsFunc(t.all, func(q Queue) bool { return r.s.pauses.open(q.Broker, at.topic) })
	}
	_, up := r.s.broker.Address(at.broker)
	return up && r.s.pauses.open(at.broker, at.topic)
}

// QueueOf returns the queue that an ordering key's messages go to.
func (t Topic) QueueOf(orderingKey string) Queue {
	return t.Queues[queueIndex(orderingKey, len(t.Queues))]
}

// queueIndex maps an ordering key to a position in a topic's list of n queues: FNV-1a, 32 bits. Fixed for ever: another
// mapping would move keys that have messages on their queue.
func queueIndex(orderingKey string, n int) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(orderingKey))
	return int(h.Sum32() % uint32(n)) //nolint:gosec // n is a number of queues
}
