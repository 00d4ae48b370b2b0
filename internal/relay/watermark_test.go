package relay

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestWatermark(t *testing.T) {
	t.Parallel()
	var w watermark
	now := time.Unix(1, 0)
	see := func(allocated int64, names ...string) (int64, bool) {
		d := Decided{Allocated: allocated}
		for i, name := range names {
			d.Writers = append(d.Writers, Writer{Name: name, XID: int64(i + 1)})
		}
		now = now.Add(guardAfter / 8)
		return w.observe(d, now)
	}
	see(10)
	assert.EqualValues(t, 10, w.upTo, "nobody inserts")
	see(20, "3/7", "4/1")
	assert.EqualValues(t, 10, w.upTo, "both may still commit an id up to 20")
	see(30, "4/1", "5/5")
	assert.EqualValues(t, 10, w.upTo, "one of them still may")
	see(40, "5/5", "4/2")
	assert.EqualValues(t, 20, w.upTo, "the same backend is in its next transaction")
	see(50, "9/9")
	assert.EqualValues(t, 40, w.upTo, "it was not there at 40")
	see(60)
	assert.EqualValues(t, 60, w.upTo)
}

func TestWatermarkPassesAWriterThatStaysAndGuardsIt(t *testing.T) {
	t.Parallel()
	var w watermark
	now := time.Unix(1, 0)
	w.observe(Decided{Allocated: 10}, now)
	long := Writer{Name: "long", XID: 700}
	w.observe(Decided{Allocated: 20, Writers: []Writer{long}}, now)
	assert.EqualValues(t, 10, w.upTo)
	assert.Nil(t, w.guard(10))
	now = now.Add(guardAfter)
	_, ended := w.observe(Decided{Allocated: 500, Writers: []Writer{long}}, now)
	assert.False(t, ended)
	assert.EqualValues(t, 500, w.upTo)
	assert.EqualValues(t, 10, w.floor)
	assert.Nil(t, w.guard(10), "a read from here on sees its rows")
	assert.Equal(t, []int64{700}, w.guard(11))
	back, ended := w.observe(Decided{Allocated: 600}, now)
	assert.True(t, ended)
	assert.EqualValues(t, 10, back)
	assert.Nil(t, w.guard(500))
}

func TestWatermarkDoesNotPassAWriterWithoutAnXID(t *testing.T) {
	t.Parallel()
	var w watermark
	now := time.Unix(1, 0)
	w.observe(Decided{Allocated: 10}, now)
	w.observe(Decided{Allocated: 20, Writers: []Writer{{Name: "long"}}}, now)
	w.observe(Decided{Allocated: 30, Writers: []Writer{{Name: "long"}}}, now.Add(time.Hour))
	assert.EqualValues(t, 10, w.upTo, "nobody could tell whether it is running")
}

// A transaction that is prepared goes on under another name. It is not over.
func TestWatermarkFollowsAPreparedTransaction(t *testing.T) {
	t.Parallel()
	var w watermark
	now := time.Unix(1, 0)
	w.observe(Decided{Allocated: 10}, now)
	w.observe(Decided{Allocated: 20, Writers: []Writer{{Name: "4/7", XID: 1}}}, now)
	w.observe(Decided{Allocated: 30, Writers: []Writer{{Name: "-1/1", XID: 1, Prepared: true}}}, now)
	assert.EqualValues(t, 10, w.upTo, "its row may be any from 11 on")
	w.observe(Decided{Allocated: 40, Writers: []Writer{{Name: "-1/1", XID: 1, Prepared: true}}}, now)
	assert.EqualValues(t, 10, w.upTo)
	w.observe(Decided{Allocated: 50}, now)
	assert.EqualValues(t, 50, w.upTo)
}

// A modelTx is a transaction of the model: its rows are seen once it is over, its lock lasts a moment longer.
type modelTx struct {
	xid      int64
	ids      []int64
	prepared bool
	over     bool // for snapshots
}

func (tx *modelTx) name() string {
	if tx.prepared {
		return fmt.Sprintf("-1/%d", tx.xid)
	}
	return fmt.Sprintf("4/%d", tx.xid)
}

// Reads that start where the watermark says, against a table whose writers begin, insert, are prepared and end between any two
// steps. A read that counts has seen every row that was there to see, up to the last one that it returned: what it left
// unseen could be the predecessor of one that it took in.
func TestWatermarkAgainstModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		var w watermark
		var open []*modelTx
		var seq, xids, cursor int64
		now := time.Unix(1, 0)
		there, taken := map[int64]bool{}, map[int64]bool{}
		act := func() {
			now = now.Add(time.Duration(rapid.IntRange(0, 400).Draw(rt, "ms")) * time.Millisecond)
			if len(open) == 0 || rapid.IntRange(0, 9).Draw(rt, "new") == 0 {
				xids++
				open = append(open, &modelTx{xid: xids})
			}
			tx := rapid.SampledFrom(open).Draw(rt, "tx")
			switch rapid.IntRange(0, 9).Draw(rt, "what") {
			case 0, 1, 2, 3:
				if !tx.prepared && !tx.over {
					seq++
					tx.ids = append(tx.ids, seq)
				}
			case 4:
				tx.prepared = tx.prepared || !tx.over
			case 5, 6:
				for _, id := range tx.ids {
					there[id] = true
				}
				tx.over = true
			case 7:
				if tx.over {
					open = slices.DeleteFunc(open, func(other *modelTx) bool { return other == tx })
				}
			}
		}
		sample := func() {
			d := Decided{Allocated: seq}
			for range rapid.IntRange(0, 2).Draw(rt, "between the samples") {
				act()
			}
			for _, tx := range open {
				d.Writers = append(d.Writers, Writer{Name: tx.name(), XID: tx.xid, Prepared: tx.prepared})
			}
			if back, ended := w.observe(d, now); ended {
				cursor = min(cursor, back)
			}
		}
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			for range rapid.IntRange(0, 3).Draw(rt, "acts") {
				act()
			}
			if rapid.Bool().Draw(rt, "sample") {
				sample()
			}
			decided, guard := w.upTo, w.guard(cursor)
			if rapid.Bool().Draw(rt, "act before the read") {
				act()
			}
			running := func(xid int64) bool {
				return slices.ContainsFunc(open, func(tx *modelTx) bool { return tx.xid == xid && !tx.over })
			}
			if slices.ContainsFunc(guard, func(xid int64) bool { return !running(xid) }) {
				cursor = min(cursor, w.floor)
				continue
			}
			limit, last := rapid.IntRange(1, 5).Draw(rt, "limit"), int64(1<<62)
			for id := cursor + 1; id <= seq; id++ {
				if there[id] && !taken[id] {
					if taken[id], limit = true, limit-1; limit == 0 {
						last = id
						break
					}
				}
			}
			for id := range there {
				require.True(rt, taken[id] || id > last, "row %d was not seen by a read from %d to %d", id, cursor, last)
			}
			cursor = max(cursor, min(decided, last))
		}
	})
}
