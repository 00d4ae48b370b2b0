package relay

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
)

func keyed(id int64, key string) *Row { return &Row{ID: id, Topic: "t", OrderingKey: key} }

func take(in *intake, b *batch, row *Row) *item {
	it := b.add(row, Queue{})
	in.take(it)
	return it
}

func testBatch() *batch {
	b := newBatch(nil, "b")
	b.events = make(chan event, 16)
	return b
}

// read begins a read and returns where it starts and what it leaves out.
func read(in *intake) (after int64, exclude []int64) {
	_, after, exclude = in.begin()
	return after, exclude
}

func TestIntakeCursorPassesOnlyDecidedIDs(t *testing.T) {
	t.Parallel()
	in := newIntake()
	in.advance(10, math.MaxInt64)
	after, _ := read(in)
	assert.EqualValues(t, 10, after, "ids above 10 may still be committed")
	in.advance(100, 42)
	after, _ = read(in)
	assert.EqualValues(t, 42, after, "the read did not see what is behind 42")
	in.advance(20, 20)
	after, _ = read(in)
	assert.EqualValues(t, 42, after, "it never goes back by itself")
}

func TestIntakePendingRowIsReadAgain(t *testing.T) {
	t.Parallel()
	in, b := newIntake(), testBatch()
	it := take(in, b, &Row{ID: 5, Topic: "t"})
	in.advance(100, 100)
	after, exclude := read(in)
	assert.EqualValues(t, 100, after)
	assert.Empty(t, exclude)

	in.pending(it)
	assert.False(t, in.admit(&it.row), "until the next read begins, an old snapshot may show it")
	after, exclude = read(in)
	assert.EqualValues(t, 4, after)
	assert.Empty(t, exclude)
	assert.True(t, in.admit(&it.row))
}

func TestIntakeGoneRowIsNotTakenFromAnOldSnapshot(t *testing.T) {
	t.Parallel()
	in, b := newIntake(), testBatch()
	it := take(in, b, &Row{ID: 5, Topic: "t"})
	_, exclude := read(in)
	assert.Equal(t, []int64{5}, exclude)
	in.gone(it)
	assert.False(t, in.admit(&it.row), "a read that began before the settle still shows the row")
	after, exclude := read(in)
	assert.Zero(t, after)
	assert.Empty(t, exclude)
}

func TestLaneCommitsOneAfterTheOther(t *testing.T) {
	t.Parallel()
	in, b1, b2 := newIntake(), testBatch(), testBatch()
	first, second := take(in, b1, keyed(1, "k")), take(in, b1, keyed(2, "k"))
	third := take(in, b2, keyed(3, "k"))
	assert.Equal(t, []*batch{b1}, in.before(third))
	assert.Empty(t, in.before(first))

	assert.Equal(t, turnNow, in.mayCommit(first))
	assert.Equal(t, turnLater, in.mayCommit(second))
	assert.Equal(t, turnLater, in.mayCommit(third))
	in.confirmed(first)
	assert.Equal(t, event{it: second, now: true}, <-b1.events)
	assert.Empty(t, b2.events)
	in.confirmed(second)
	assert.Equal(t, event{it: third, now: true}, <-b2.events)
}

func TestBrokenLaneStopsWhatIsBehind(t *testing.T) {
	t.Parallel()
	in, b1, b2 := newIntake(), testBatch(), testBatch()
	first := take(in, b1, keyed(1, "k"))
	second := take(in, b2, keyed(2, "k"))
	late := take(in, b2, keyed(3, "k"))
	other := take(in, b2, keyed(4, "other"))
	assert.Equal(t, turnNow, in.mayCommit(first))
	assert.Equal(t, turnLater, in.mayCommit(second))

	in.breakLane(first)
	assert.Equal(t, event{it: second, now: false}, <-b2.events)
	assert.Equal(t, turnNever, in.mayCommit(late))
	assert.False(t, in.mayDecide(late))
	assert.True(t, in.mayDecide(other))
	assert.Equal(t, turnNow, in.mayCommit(other), "another key flows")
	assert.False(t, in.admit(keyed(5, "k")), "nothing joins a broken lane")

	in.advance(100, 100)
	in.pending(first)
	in.pending(second, late)
	after, exclude := read(in)
	assert.EqualValues(t, 0, after, "rows 1 to 5 are read again in id order")
	assert.Equal(t, []int64{4}, exclude)
	assert.True(t, in.admit(keyed(1, "k")))
}

func TestLaneThatLeftARowBehindTakesNoneAfterIt(t *testing.T) {
	t.Parallel()
	in, b := newIntake(), testBatch()
	var items []*item
	for id := int64(1); id <= laneLimit; id++ {
		items = append(items, take(in, b, keyed(id, "hot")))
	}
	assert.False(t, in.admit(keyed(laneLimit+1, "hot")), "the lane is full")
	in.advance(10_000, 10_000)
	in.confirmed(items[0])
	in.gone(items[0])
	read(in)
	assert.False(t, in.admit(keyed(9_000, "hot")), "there is room, but a smaller id was left behind")
	for _, it := range items[1:] {
		in.confirmed(it)
	}
	in.gone(items[1:]...)
	after, _ := read(in)
	assert.EqualValues(t, laneLimit, after, "the drained lane has its rows read from where it left off")
	assert.True(t, in.admit(keyed(laneLimit+1, "hot")))
}

func TestDoubtBlocksOnlyItsKey(t *testing.T) {
	t.Parallel()
	in, b := newIntake(), testBatch()
	it := take(in, b, keyed(1, "k"))
	in.breakLane(it)
	in.doubtItem(it)
	read(in)
	assert.False(t, in.admit(keyed(1, "k")), "the row itself")
	assert.False(t, in.admit(keyed(2, "k")), "the row behind it")
	assert.True(t, in.admit(keyed(3, "other")))
	assert.True(t, in.admit(&Row{ID: 4, Topic: "t"}))
	in.advance(100, 100)

	in.resolved(Key{"t", "k"}, 1, true)
	assert.False(t, in.admit(keyed(2, "k")), "not before the next read")
	after, _ := read(in)
	assert.Zero(t, after)
	assert.True(t, in.admit(keyed(1, "k")))
}

func TestBackingOffRowFreesItsKeyWhenItIsDue(t *testing.T) {
	t.Parallel()
	in, b := newIntake(), testBatch()
	it := take(in, b, keyed(1, "k"))
	in.breakLane(it)
	in.hold(Key{"t", "k"}, 1, false)
	in.gone(it)
	read(in)
	assert.False(t, in.admit(keyed(2, "k")))
	in.advance(100, 100)
	assert.False(t, in.admitDue(keyed(7, "k")), "not the row that blocks the key")
	assert.True(t, in.admitDue(keyed(1, "k")))
	again := take(in, testBatch(), keyed(1, "k"))
	after, exclude := read(in)
	assert.EqualValues(t, 1, after, "the rows behind it are read again")
	assert.Empty(t, exclude)
	assert.True(t, in.admit(keyed(2, "k")))
	second := take(in, again.batch, keyed(2, "k"))
	assert.Equal(t, turnNow, in.mayCommit(again))
	assert.Equal(t, turnLater, in.mayCommit(second))
}

func TestDeadRowBlocksUntilItIsNowhere(t *testing.T) {
	t.Parallel()
	in := newIntake()
	in.hold(Key{"t", "k"}, 1, true)
	assert.Equal(t, []int64{1}, in.deadRows())
	in.discarded(func(int64) bool { return true })
	read(in)
	assert.False(t, in.admit(keyed(2, "k")))
	in.discarded(func(int64) bool { return false })
	read(in)
	assert.True(t, in.admit(keyed(2, "k")))
}

func TestStrandedKeyStaysBehindWhenTheBrokerReturnsInTheMiddleOfARead(t *testing.T) {
	t.Parallel()
	in := newIntake()
	assert.True(t, in.admit(keyed(1, "k")))
	in.strand(keyed(1, "k"))
	assert.False(t, in.admit(keyed(2, "k")), "row 1 has not been taken")
	in.advance(100, 100)
	in.strand(&Row{ID: 50, Topic: "t"})
	in.unstrand()
	after, _ := read(in)
	assert.Zero(t, after)
	assert.True(t, in.admit(keyed(1, "k")))
}
