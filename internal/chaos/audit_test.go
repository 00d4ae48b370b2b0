package chaos

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// well is a run in which all goes well: two spans, three events of a key, two without, one rolled back.
func well() (book []Entry, tried map[int64]int, topic []Delivery) {
	for i, e := range []Event{{1, "a", 1}, {2, "", 0}, {3, "a", 2}, {4, "a", 3}, {5, "", 0}} {
		span := i / 3
		book = append(book, Entry{e, span})
		queue := 0
		if e.Key == "" {
			queue = 1
		}
		topic = append(topic, Delivery{Event: e, Broker: "b", Queue: queue, Offset: int64(i), Span: span})
	}
	return book, map[int64]int{9: 1}, topic
}

// TestJudge is about each thing that can go wrong: an audit that cannot fail proves nothing.
func TestJudge(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func([]Delivery) []Delivery
		want   map[int]Counts // beside what is committed: 3 in span 0, 2 in span 1
	}{
		"all is well":   {func(d []Delivery) []Delivery { return d }, map[int]Counts{0: {Delivered: 3}, 1: {Delivered: 2}}},
		"nothing comes": {func([]Delivery) []Delivery { return nil }, map[int]Counts{0: {Lost: 3}, 1: {Lost: 2}}},
		"lost, counted where it was committed": {
			func(d []Delivery) []Delivery { return d[:4] },
			map[int]Counts{0: {Delivered: 3}, 1: {Delivered: 1, Lost: 1}},
		},
		"duplicated, counted where the second came": {func(d []Delivery) []Delivery {
			again := d[0]
			again.Offset, again.Span = 9, 1
			return append(d, again)
		}, map[int]Counts{0: {Delivered: 3}, 1: {Delivered: 2, Duplicated: 1}}},
		"twice duplicated, on another queue": {func(d []Delivery) []Delivery {
			again := d[1]
			again.Queue, again.Span = 5, 1
			return append(d, again, again)
		}, map[int]Counts{0: {Delivered: 3}, 1: {Delivered: 2, Duplicated: 2}}},
		"reordered": {func(d []Delivery) []Delivery {
			d[2], d[3] = d[3], d[2]
			return d
		}, map[int]Counts{0: {Delivered: 3, Reordered: 1}, 1: {Delivered: 2}}},
		"a key on two queues": {func(d []Delivery) []Delivery {
			d[3].Queue = 2
			return d
		}, map[int]Counts{0: {Delivered: 3}, 1: {Delivered: 2, Reordered: 1}}},
		"a key on two brokers": {func(d []Delivery) []Delivery {
			d[3].Broker = "c"
			return d
		}, map[int]Counts{0: {Delivered: 3}, 1: {Delivered: 2, Reordered: 1}}},
		"delivered late is delivered": {func(d []Delivery) []Delivery {
			d[0].Span = 1
			return d
		}, map[int]Counts{0: {Delivered: 3}, 1: {Delivered: 2}}},
		"delivered after a rollback": {func(d []Delivery) []Delivery {
			return append(d, Delivery{Event: Event{ID: 9}, Queue: 3, Span: 1})
		}, map[int]Counts{0: {Delivered: 3}, 1: {Delivered: 2, AfterRollback: 1}}},
		"nobody wrote it": {func(d []Delivery) []Delivery {
			return append(d, Delivery{Event: Event{ID: 10}, Queue: 3})
		}, map[int]Counts{0: {Delivered: 3, Foreign: 1}, 1: {Delivered: 2}}},
		"another content": {func(d []Delivery) []Delivery {
			d[0].Number = 7
			return d
		}, map[int]Counts{0: {Delivered: 2, Lost: 1, Foreign: 1}, 1: {Delivered: 2}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			book, tried, topic := well()
			v := Judge(book, tried, tt.change(topic))
			violations := 0
			for span, committed := range []int{3, 2} {
				want := tt.want[span]
				want.Committed = committed
				assert.Equal(t, want, *v.of(span), "span %d", span)
				violations += want.violations()
			}
			assert.Len(t, v.Findings, violations, "each violation is told with its place")
		})
	}
}

// Whatever is taken from the topic is lost, whatever is put there twice is a duplicate, and nothing else is.
func TestJudgeOfAnyRun(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var book []Entry
		var topic []Delivery
		wantLost, wantDuplicated := 0, 0
		numbers := map[string]int64{}
		for id := range int64(rapid.IntRange(1, 60).Draw(t, "events")) {
			key := rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "key")
			e := Event{ID: id, Key: key}
			if key != "" {
				numbers[key]++
				e.Number = numbers[key]
			}
			book = append(book, Entry{e, 0})
			copies := rapid.SampledFrom([]int{1, 1, 1, 1, 0, 2, 3}).Draw(t, "copies")
			for range copies {
				topic = append(topic, Delivery{Event: e, Queue: len(key), Offset: int64(len(topic))})
			}
			wantLost += max(1-copies, 0)
			wantDuplicated += max(copies-1, 0)
		}
		c := Judge(book, nil, topic).of(0)
		if want := (Counts{Committed: len(book), Delivered: len(book) - wantLost, Lost: wantLost, Duplicated: wantDuplicated}); *c != want {
			t.Fatalf("%+v, not %+v", *c, want)
		}
	})
}

func TestFindingsAreFew(t *testing.T) {
	t.Parallel()
	book := make([]Entry, 3*maxFindings)
	for i := range book {
		book[i].ID = int64(i)
	}
	v := Judge(book, nil, nil)
	assert.Equal(t, len(book), v.of(0).Lost)
	assert.Len(t, v.Findings, maxFindings)
}

func TestSpanOfADelivery(t *testing.T) {
	t.Parallel()
	r := topicReader{ends: [][]int64{{2, 0}, {2, 5}, {7, 5}}}
	var spans []int
	for _, at := range []struct {
		queue  int
		offset int64
	}{{0, 0}, {0, 1}, {0, 2}, {0, 6}, {0, 7}, {1, 0}, {1, 4}, {1, 5}} {
		spans = append(spans, r.span(at.queue, at.offset))
	}
	require.True(t, slices.Equal([]int{0, 0, 2, 2, 3, 1, 1, 3}, spans), spans)
}
