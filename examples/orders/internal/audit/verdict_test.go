package audit_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/outbox-relay/outbox-relay/examples/orders/internal/audit"
)

// run is what happened in a drawn run of the demo in which nothing went wrong: every order that was committed lies once on the
// queue of its customer, and the consumer got each queue in order.
type run struct {
	committed  []audit.Delivery // in the order of the commits; At is when COMMIT returned
	rolledBack []string
	queues     [][]audit.Delivery
}

// drawRun draws customers, orders, and how the queues are mixed.
func drawRun(t *rapid.T) *run {
	customers := rapid.IntRange(1, 5).Draw(t, "customers")
	r := &run{queues: make([][]audit.Delivery, rapid.IntRange(1, 3).Draw(t, "queues"))}
	numbers := make([]int64, customers)
	for i := range rapid.IntRange(1, 40).Draw(t, "orders") {
		if rapid.IntRange(0, 9).Draw(t, "rolled back") == 0 {
			r.rolledBack = append(r.rolledBack, fmt.Sprint("r", i))
			continue
		}
		c := rapid.IntRange(0, customers-1).Draw(t, "customer")
		numbers[c]++
		q := c % len(r.queues)
		d := audit.Delivery{
			ID: fmt.Sprint("o", i), Customer: fmt.Sprint("c", c), Number: numbers[c], Broker: "b", Queue: q, Offset: int64(len(r.queues[q])),
			At: start.Add(time.Duration(i) * time.Millisecond),
		}
		r.committed = append(r.committed, d)
		r.queues[q] = append(r.queues[q], d)
	}
	return r
}

// stored returns all messages as the consumer gets them: the queues in their order, mixed by draws.
func (r *run) stored(t *rapid.T) []audit.Delivery {
	var all []audit.Delivery
	next := make([]int, len(r.queues))
	for {
		var open []int
		for q := range r.queues {
			if next[q] < len(r.queues[q]) {
				open = append(open, q)
			}
		}
		if len(open) == 0 {
			return all
		}
		q := rapid.SampledFrom(open).Draw(t, "queue")
		all = append(all, r.queues[q][next[q]])
		next[q]++
	}
}

// judge notes everything and returns the verdict.
func (r *run) judge(got []audit.Delivery) audit.Verdict {
	a := audit.New()
	for _, d := range r.committed {
		a.Committed(d.ID, d.Customer, d.Number, d.At)
	}
	for _, id := range r.rolledBack {
		a.RolledBack(id)
	}
	for _, d := range got {
		a.Delivered(d)
	}
	return a.Verdict()
}

// good is the verdict where nothing went wrong.
func (r *run) good() audit.Verdict {
	return audit.Verdict{Committed: len(r.committed), Delivered: len(r.committed), RolledBack: len(r.rolledBack)}
}

func TestAnyGoodRunIsOK(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := drawRun(t)
		if v := r.judge(r.stored(t)); v != r.good() || !v.OK() {
			t.Fatalf("%+v", v)
		}
	})
}

// A consumer that joins late, or whose queues change hands, is handed messages again, from any point on and any number of times.
func TestRedeliveriesAreNoDuplicates(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := drawRun(t)
		got := r.stored(t)
		again := 0
		for range rapid.IntRange(0, 3).Draw(t, "times") {
			if len(got) > 0 {
				from := rapid.IntRange(0, len(got)-1).Draw(t, "from")
				again += len(got) - from
				got = append(got, got[from:]...)
			}
		}
		want := r.good()
		want.Redelivered = again
		if v := r.judge(got); v != want || !v.OK() {
			t.Fatalf("%+v, not %+v", v, want)
		}
	})
}

// Whatever is broken in a good run, the verdict has exactly that, and is not OK.
func TestAnyViolationIsSeen(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := drawRun(t)
		if len(r.committed) == 0 {
			return
		}
		got := r.stored(t)
		want := r.good()
		i := rapid.IntRange(0, len(got)-1).Draw(t, "victim")
		victim := got[i]
		end := func(q int) int64 { return int64(len(r.queues[q])) }
		switch kind := rapid.SampledFrom([]string{"lost", "duplicated", "moved", "rolled back", "forged", "unknown"}).Draw(t, "kind"); kind {
		case "lost": // never stored: the offsets of the queue close up behind it
			got = slices.Delete(slices.Clone(got), i, i+1)
			for j := range got {
				if got[j].Queue == victim.Queue && got[j].Offset > victim.Offset {
					got[j].Offset--
				}
			}
			want.Lost, want.Delivered = 1, want.Delivered-1
		case "duplicated": // stored a second time
			for n := range rapid.IntRange(1, 3).Draw(t, "copies") {
				again := victim
				again.Offset = end(victim.Queue) + int64(n)
				got = append(got, again)
				want.Duplicated++
			}
		case "moved": // the same, on a broker that was down: a second message all the same
			again := victim
			again.Broker, again.Offset = "another", 0
			got = append(got, again)
			want.Duplicated = 1
		case "rolled back":
			r.rolledBack = append(r.rolledBack, "ghost")
			want.RolledBack++
			got = append(got, audit.Delivery{ID: "ghost", Customer: "ghost", Number: 1, Broker: "b", Queue: victim.Queue, Offset: end(victim.Queue)})
			want.RolledBackDelivered = 1
		case "forged": // with the number of another order, which is later than all
			got[i].Customer = "forger"
			want.Unknown = 1
		case "unknown":
			got = append(got, audit.Delivery{ID: "x", Customer: "x", Number: 1, Broker: "b", Queue: victim.Queue, Offset: end(victim.Queue)})
			want.Unknown = 1
		}
		if v := r.judge(got); v != want || v.OK() {
			t.Fatalf("%+v, not %+v", v, want)
		}
	})
}

// A swap of two messages of one customer is out of order, however far apart they are; of two customers it is none.
func TestSwappedMessages(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 12).Draw(t, "messages")
		i := rapid.IntRange(0, n-2).Draw(t, "first")
		j := rapid.IntRange(i+1, n-1).Draw(t, "second")
		r := &run{queues: make([][]audit.Delivery, 1)}
		for k := range n {
			d := audit.Delivery{ID: fmt.Sprint(k), Customer: "c", Number: int64(k + 1), Broker: "b", At: start}
			r.committed = append(r.committed, d)
		}
		got := slices.Clone(r.committed)
		got[i], got[j] = got[j], got[i]
		for k := range got {
			got[k].Offset = int64(k)
		}
		want := r.good()
		want.OutOfOrder = j - i // those between came after the later one, and so did the earlier one
		if v := r.judge(got); v != want || v.OK() {
			t.Fatalf("%d and %d of %d swapped: %+v, not %+v", i, j, n, v, want)
		}
		for k := range r.committed { // the same, with a customer for each message
			r.committed[k].Customer, r.committed[k].Number = fmt.Sprint("c", k), 1
		}
		for k := range got {
			got[k].Customer, got[k].Number = "c"+got[k].ID, 1
		}
		if v := r.judge(got); !v.OK() {
			t.Fatalf("%+v", v)
		}
	})
}

// Each kind of violation alone is enough; a redelivery and a rollback are none.
func TestOK(t *testing.T) {
	t.Parallel()
	for name, v := range map[string]audit.Verdict{
		"duplicated": {Duplicated: 1}, "lost": {Lost: 1}, "rolled back": {RolledBackDelivered: 1}, "order": {OutOfOrder: 1},
		"unknown": {Unknown: 1}, "missed": {Missed: 1},
	} {
		require.False(t, v.OK(), name)
	}
	require.True(t, audit.Verdict{Committed: 5, Delivered: 5, RolledBack: 2, Redelivered: 7}.OK())
	require.True(t, audit.Verdict{}.OK())
}

func TestSeveralViolationsAtOnce(t *testing.T) {
	t.Parallel()
	a := audit.New()
	for n := range int64(6) {
		a.Committed(fmt.Sprint("o", n+1), "c", n+1, start)
	}
	a.RolledBack("r1")
	for offset, d := range []audit.Delivery{
		{ID: "o1", Customer: "c", Number: 1},
		{ID: "o3", Customer: "c", Number: 3},
		{ID: "o2", Customer: "c", Number: 2},  // out of order
		{ID: "o1", Customer: "c", Number: 1},  // duplicated
		{ID: "r1", Customer: "r", Number: 1},  // rolled back
		{ID: "x", Customer: "x", Number: 1},   // unknown
		{ID: "o4", Customer: "c", Number: 40}, // another number
	} {
		d.Broker, d.Offset = "b", int64(offset+2) // the consumer skipped two
		a.Delivered(d)
	}
	require.Equal(t, audit.Verdict{
		Committed: 6, Delivered: 4, RolledBack: 1, Duplicated: 1, Lost: 2, RolledBackDelivered: 1, OutOfOrder: 1, Unknown: 2, Missed: 2,
	}, a.Verdict())
	require.False(t, a.Complete())
}

// Each queue of each broker begins at offset 0: what was not seen below the highest offset was missed.
func TestMissedOffsets(t *testing.T) {
	t.Parallel()
	type at struct {
		broker string
		queue  int
		offset int64
	}
	for name, test := range map[string]struct {
		seen []at
		want int
	}{
		"nothing was read":        {nil, 0},
		"from the start":          {[]at{{"b", 0, 0}, {"b", 0, 1}}, 0},
		"in any order":            {[]at{{"b", 0, 1}, {"b", 0, 0}}, 0},
		"from the second":         {[]at{{"b", 0, 1}}, 1},
		"from far on":             {[]at{{"b", 0, 1000}}, 1000},
		"a hole":                  {[]at{{"b", 0, 0}, {"b", 0, 3}}, 2},
		"two queues":              {[]at{{"b", 0, 0}, {"b", 1, 1}}, 1},
		"two brokers, same queue": {[]at{{"a", 0, 0}, {"b", 0, 0}}, 0},
		"two brokers with a hole": {[]at{{"a", 0, 0}, {"b", 0, 2}}, 2},
		"the same one, once more": {[]at{{"b", 0, 0}, {"b", 0, 0}}, 0},
		"a hole, and once more":   {[]at{{"b", 0, 2}, {"b", 0, 2}}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := audit.New()
			for _, s := range test.seen {
				a.Delivered(audit.Delivery{ID: fmt.Sprint(s), Broker: s.broker, Queue: s.queue, Offset: s.offset})
			}
			require.Equal(t, test.want, a.Verdict().Missed)
		})
	}
}

// The verdict may be asked for at any time, and changes nothing.
func TestVerdictCanBeAskedAgain(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := drawRun(t)
		a := audit.New()
		for _, d := range r.committed {
			a.Committed(d.ID, d.Customer, d.Number, d.At)
		}
		for i, d := range r.stored(t) {
			if a.Complete() {
				t.Fatalf("complete with %d of %d", i, len(r.committed))
			}
			a.Delivered(d)
			v := a.Verdict()
			if v != a.Verdict() || v.Delivered != i+1 || v.Lost != len(r.committed)-i-1 || a.Counts().Delivered != i+1 {
				t.Fatalf("after %d: %+v", i+1, v)
			}
		}
		if !a.Complete() {
			t.Fatal("not complete")
		}
	})
}
