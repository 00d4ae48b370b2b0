package chaos

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestJudgeGone: what is left must be left for a reason, and what may be on the topic must be listed.
func TestJudgeGone(t *testing.T) {
	t.Parallel()
	at := func(e Event, broker string, queue int) Delivery {
		return Delivery{Event: e, Broker: broker, Queue: queue}
	}
	a1, a2, a3, b1, b2, u := Event{1, "a", 1}, Event{2, "a", 2}, Event{3, "a", 3}, Event{4, "b", 1}, Event{5, "b", 2}, Event{6, "", 0}
	var book []Entry
	for _, e := range []Event{a1, a2, a3, b1, b2, u} {
		book = append(book, Entry{e, 0})
	}
	// Key a has its queue at the broker that has gone, key b at the other one.
	topic := []Delivery{at(a1, "gone", 0), at(b1, "here", 0), at(b2, "here", 0), at(u, "here", 1)}
	for name, tt := range map[string]struct {
		topic []Delivery
		left  []Left
		want  Counts
	}{
		"one in doubt that did not arrive, one behind it": {
			topic, []Left{{a2, 2, true}, {a3, 3, false}}, Counts{Delivered: 4, Waiting: 2, Listed: 1},
		},
		"one in doubt that arrived": {
			append(topic[:4:4], at(a2, "gone", 0)), []Left{{a2, 2, true}, {a3, 3, false}}, Counts{Delivered: 5, Waiting: 1, Listed: 1},
		},
		"one that arrived is not listed": {
			append(topic[:4:4], at(a2, "gone", 0)), []Left{{a2, 2, false}, {a3, 3, false}}, Counts{Delivered: 5, Waiting: 1, Duplicated: 1},
		},
		"a row without a key is left": {
			topic[:3], []Left{{a2, 2, true}, {a3, 3, false}, {u, 6, false}}, Counts{Delivered: 3, Waiting: 3, Lost: 1, Listed: 1},
		},
		"a row without a key is in doubt": {
			topic[:3], []Left{{a2, 2, true}, {a3, 3, false}, {u, 6, true}}, Counts{Delivered: 3, Waiting: 3, Listed: 2},
		},
		"a row of a key of the other broker is left": {
			[]Delivery{topic[0], topic[1], topic[3]}, []Left{{a2, 2, true}, {a3, 3, false}, {b2, 5, false}}, Counts{Delivered: 3, Waiting: 3, Lost: 1, Listed: 1},
		},
		"lost": {
			topic, []Left{{a2, 2, true}}, Counts{Delivered: 4, Waiting: 1, Lost: 1, Listed: 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := JudgeGone(book, nil, tt.topic, tt.left, "gone")
			tt.want.Committed = len(book)
			assert.Equal(t, tt.want, *v.of(0))
			assert.Len(t, v.Findings, tt.want.violations())
		})
	}
}
