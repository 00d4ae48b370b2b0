package audit_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/examples/orders/internal/audit"
)

var start = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// world is a run in which everything goes well: four orders of two customers, one of them rolled back.
func world() (committed []audit.Delivery, rolledBack string) {
	return []audit.Delivery{
		{ID: "a1", Customer: "a", Number: 1, Broker: "b0", Queue: 0, Offset: 0},
		{ID: "b1", Customer: "b", Number: 1, Broker: "b0", Queue: 1, Offset: 0},
		{ID: "a2", Customer: "a", Number: 2, Broker: "b0", Queue: 0, Offset: 1},
		{ID: "a3", Customer: "a", Number: 3, Broker: "b0", Queue: 0, Offset: 2},
	}, "r1"
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func([]audit.Delivery) []audit.Delivery
		want   func(*audit.Verdict)
		ok     bool
	}{
		{"all is well", func(d []audit.Delivery) []audit.Delivery { return d }, func(*audit.Verdict) {}, true},
		{"the consumer is handed the same stored message twice", func(d []audit.Delivery) []audit.Delivery {
			return append(d, d[0], d[3])
		}, func(v *audit.Verdict) { v.Redelivered = 2 }, true},
		{"other customers overtake", func(d []audit.Delivery) []audit.Delivery {
			d[0], d[1] = d[1], d[0]
			return d
		}, func(*audit.Verdict) {}, true},
		{"lost", func(d []audit.Delivery) []audit.Delivery { return d[:3] }, func(v *audit.Verdict) {
			v.Delivered, v.Lost = 3, 1
		}, false},
		{"all lost", func([]audit.Delivery) []audit.Delivery { return nil }, func(v *audit.Verdict) {
			v.Delivered, v.Lost = 0, 4
		}, false},
		{"lost in the middle: the consumer itself skipped an offset", func(d []audit.Delivery) []audit.Delivery {
			return append(d[:2:2], d[3])
		}, func(v *audit.Verdict) { v.Delivered, v.Lost, v.Missed = 3, 1, 1 }, false},
		{"duplicated", func(d []audit.Delivery) []audit.Delivery {
			again := d[0]
			again.Offset = 3
			return append(d, again)
		}, func(v *audit.Verdict) { v.Duplicated = 1 }, false},
		{"duplicated twice, on another broker", func(d []audit.Delivery) []audit.Delivery {
			again := d[0]
			again.Broker = "b1"
			more := again
			more.Offset = 1
			return append(d, again, more)
		}, func(v *audit.Verdict) { v.Duplicated = 2 }, false},
		{"delivered after a rollback", func(d []audit.Delivery) []audit.Delivery {
			return append(d, audit.Delivery{ID: "r1", Customer: "r", Number: 1, Broker: "b0", Queue: 2})
		}, func(v *audit.Verdict) { v.RolledBackDelivered = 1 }, false},
		{"out of order", func(d []audit.Delivery) []audit.Delivery {
			d[2].Offset, d[3].Offset = d[3].Offset, d[2].Offset
			d[2], d[3] = d[3], d[2]
			return d
		}, func(v *audit.Verdict) { v.OutOfOrder = 1 }, false},
		{"a customer changes queues", func(d []audit.Delivery) []audit.Delivery {
			d[3].Queue, d[3].Offset = 5, 0
			return d
		}, func(v *audit.Verdict) { v.OutOfOrder = 1 }, false},
		{"a message nobody wrote", func(d []audit.Delivery) []audit.Delivery {
			return append(d, audit.Delivery{ID: "x", Customer: "x", Broker: "b0", Queue: 2})
		}, func(v *audit.Verdict) { v.Unknown = 1 }, false},
		{"a message with another content", func(d []audit.Delivery) []audit.Delivery {
			d[1].Number = 7
			return d
		}, func(v *audit.Verdict) { v.Unknown = 1 }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := audit.New()
			committed, rolledBack := world()
			for _, d := range committed {
				a.Committed(d.ID, d.Customer, d.Number, start)
			}
			a.RolledBack(rolledBack)
			for _, d := range tt.change(committed) {
				a.Delivered(d)
			}
			want := audit.Verdict{Committed: 4, Delivered: 4, RolledBack: 1}
			tt.want(&want)
			require.Equal(t, want, a.Verdict())
			require.Equal(t, tt.ok, a.Verdict().OK())
		})
	}
}

func TestCountsAndComplete(t *testing.T) {
	t.Parallel()
	a := audit.New()
	require.True(t, a.Complete(), "nothing is missing where nothing was committed")
	a.Committed("a1", "a", 1, start)
	a.RolledBack("r1")
	require.False(t, a.Complete())
	d := audit.Delivery{ID: "a1", Customer: "a", Number: 1}
	a.Delivered(d)
	d.Offset++
	a.Delivered(d)
	require.True(t, a.Complete())
	require.Equal(t, audit.Counts{Committed: 1, RolledBack: 1, Delivered: 1}, a.Counts(), "ids are counted, not messages")
}

// TestDeliveryBeforeCommitIsNoted covers a consumer that is faster than the writer that notes its commit.
func TestDeliveryBeforeCommitIsNoted(t *testing.T) {
	t.Parallel()
	a := audit.New()
	a.Delivered(audit.Delivery{ID: "a1", Customer: "a", Number: 1, At: start})
	require.Equal(t, 1, a.Verdict().Unknown)
	a.Committed("a1", "a", 1, start.Add(time.Millisecond))
	require.True(t, a.Verdict().OK())
	require.Equal(t, audit.Latency{Count: 1}, a.Latency(), "no less than nothing")
}

func TestLatency(t *testing.T) {
	t.Parallel()
	a := audit.New()
	require.Zero(t, a.Latency())
	for i := range 100 {
		id := fmt.Sprint(i)
		at := start.Add(time.Duration(i) * time.Second)
		a.Committed(id, "c", int64(i), at)
		d := audit.Delivery{ID: id, Customer: "c", Number: int64(i), Offset: int64(i), At: at.Add(time.Duration(i+1) * time.Millisecond)}
		a.Delivered(d)
		d.Offset, d.At = d.Offset+1000, d.At.Add(time.Hour) // A duplicate is not a slow message.
		a.Delivered(d)
	}
	ms := time.Millisecond
	require.Equal(t, audit.Latency{Count: 100, P50: 50 * ms, P95: 95 * ms, P99: 99 * ms, Max: 100 * ms}, a.Latency())

	// From 89.5 s on: all that were committed later.
	late := audit.Window{From: start.Add(89*time.Second + 500*ms), To: start.Add(time.Hour)}
	require.Equal(t, audit.Latency{Count: 90, P50: 45 * ms, P95: 86 * ms, P99: 90 * ms, Max: 90 * ms}, a.Latency(late))
	// A message that was on the way when the window opened is left out: 50 was committed at 50.000 and came at 50.051.
	open := audit.Window{From: start.Add(50*time.Second + 20*ms), To: start.Add(50*time.Second + 30*ms)}
	require.Equal(t, 99, a.Latency(open).Count)
	require.Equal(t, 89, a.Latency(open, late).Count)
	require.Zero(t, a.Latency(audit.Window{From: start, To: start.Add(time.Hour)}))
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	a := audit.New()
	var wg sync.WaitGroup
	for c := range 4 {
		wg.Go(func() {
			for n := range 200 {
				id, customer := fmt.Sprintf("%d-%d", c, n), fmt.Sprint(c)
				a.Committed(id, customer, int64(n), start)
				a.Delivered(audit.Delivery{ID: id, Customer: customer, Number: int64(n), Queue: c, Offset: int64(n), At: start})
				a.Counts()
				a.Verdict()
			}
		})
	}
	wg.Wait()
	v := a.Verdict()
	require.True(t, v.OK())
	require.Equal(t, 800, v.Delivered)
}
