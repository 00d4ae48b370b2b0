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
	b := newBatch(nil, batchKey{broker: "b", way: WayHalf})
	b.events = make(chan event, 16)
	return b
}

// read begins a read and returns where it starts and what it leaves out.
func read(in *intake) (after int64, exclude []int64) {
	_, after, exclude = in.begin(nil, nil)
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

// putOff takes a row in and has it put off, as a flush timeout does.
func putOff(in *intake, row *Row) {
	it := take(in, testBatch(), row)
	in.breakLane(it)
	in.hold(row, false)
	in.off(it)
	read(in)
}

func TestBackingOffRowHoldsItsKeyUntilItHasLeft(t *testing.T) {
	t.Parallel()
	in := newIntake()
	putOff(in, keyed(1, "k"))
	assert.False(t, in.admit(keyed(2, "k")))
	in.advance(100, 100)
	assert.False(t, in.admitDue(keyed(7, "k")), "not the row that blocks the key")
	assert.True(t, in.admitDue(keyed(1, "k")))
	again := take(in, testBatch(), keyed(1, "k"))
	read(in)
	assert.False(t, in.admit(keyed(2, "k")), "row 1 may fail again, and then a fresh read does not show it")
	in.confirmed(again)
	in.gone(again)
	after, exclude := read(in)
	assert.EqualValues(t, 1, after, "the rows behind it are read again")
	assert.Empty(t, exclude)
	assert.True(t, in.admit(keyed(2, "k")))
}

func TestDueRowThatFailsAgainIsNotOvertaken(t *testing.T) {
	t.Parallel()
	for name, fails := range map[string]func(*intake, *item){
		"no answer": func(in *intake, it *item) { in.pending(it) },
		"in doubt, then absent": func(in *intake, it *item) {
			in.doubtItem(it)
			read(in)
			in.resolved(Key{"t", "k"}, 5, true)
		},
		"put off again": func(in *intake, it *item) {
			in.hold(ordered(5, "k"), false)
			in.off(it)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := newIntake()
			putOff(in, keyed(5, "k"))
			assert.False(t, in.admit(keyed(7, "k")))
			in.advance(100, 100)
			due := take(in, testBatch(), keyed(5, "k"))
			in.breakLane(due)
			fails(in, due)
			read(in)
			read(in)
			assert.False(t, in.admit(keyed(7, "k")), "7 overtakes 5")
			assert.True(t, in.admitDue(keyed(5, "k")))
		})
	}
}

func TestDueRowInDoubtThenFoundFreesItsKey(t *testing.T) {
	t.Parallel()
	in := newIntake()
	putOff(in, keyed(5, "k"))
	due := take(in, testBatch(), keyed(5, "k"))
	in.breakLane(due)
	in.doubtItem(due)
	in.resolved(Key{"t", "k"}, 5, false)
	read(in)
	assert.True(t, in.admit(keyed(7, "k")))
}

func TestDoubtBetweenAdmitAndTakeIsKept(t *testing.T) {
	t.Parallel()
	in, b := newIntake(), testBatch()
	five := take(in, b, keyed(5, "k"))
	assert.True(t, in.admit(keyed(9, "k")))
	in.breakLane(five) // by its batch, between the reader's admit and take
	in.doubtItem(five)
	nine := take(in, testBatch(), keyed(9, "k"))
	assert.False(t, in.mayDecide(nine))
	in.pending(nine)
	read(in)
	assert.False(t, in.admit(keyed(9, "k")), "5 is in doubt")
}

func TestFreshRowThatBlocksItsOwnKeyIsAdmitted(t *testing.T) {
	t.Parallel()
	in := newIntake()
	in.hold(ordered(7, "k"), false)
	read(in)
	assert.True(t, in.admit(keyed(7, "k")), "an operator has set available_at to NULL")
}

func TestRowsLeftBehindAboveTheWatermarkAreNotReadAgain(t *testing.T) {
	t.Parallel()
	in := newIntake()
	in.hold(ordered(1, "k"), true)
	in.advance(10, 10) // a writer that began at 10 is still open
	for id := int64(11); id < 11+512; id++ {
		assert.False(t, in.admit(keyed(id, "k")))
	}
	in.advance(10, 522)
	after, exclude := read(in)
	assert.EqualValues(t, 10, after)
	assert.Len(t, exclude, 512, "or the same 512 rows would keep everybody else out")
	in.vanished(Key{"t", "k"}, 1)
	_, exclude = read(in)
	assert.Empty(t, exclude)
}

func TestTopicOutOfReachIsMadeUpFor(t *testing.T) {
	t.Parallel()
	in := newIntake()
	topics := map[string]Topic{"t": {}, "u": {}}
	in.begin(topics, func(topic string) bool { return topic == "u" })
	in.advance(100, 100) // the read did not ask for topic t, whose row 5 waits
	in.begin(topics, func(topic string) bool { return topic == "u" })
	in.advance(200, 200)
	_, after, _ := in.begin(topics, func(string) bool { return true })
	assert.Zero(t, after, "row 5 of topic t comes before row 101 of its key")
}

func TestLaneGoesOnUpToTheItemThatFailed(t *testing.T) {
	t.Parallel()
	in, b := newIntake(), testBatch()
	first, second, third := take(in, b, keyed(1, "k")), take(in, b, keyed(2, "k")), take(in, b, keyed(3, "k"))
	in.breakLane(second)
	in.hold(ordered(2, "k"), true)
	assert.True(t, in.mayDecide(first))
	assert.False(t, in.mayDecide(second))
	assert.False(t, in.mayDecide(third))
	assert.Equal(t, turnNow, in.mayCommit(first))
	in.breakLane(first)
	assert.False(t, in.mayDecide(first), "it failed after all")
	in.off(second)
	in.pending(first, third)
	read(in)
	read(in)
	assert.True(t, in.admit(keyed(1, "k")), "row 1 comes before the dead row 2 and need not wait for it")
	assert.False(t, in.admit(keyed(3, "k")))
}

func TestRowBehindOneThatDidNotGetThroughDoesNotLead(t *testing.T) {
	t.Parallel()
	in := newIntake()
	first, second := take(in, testBatch(), keyed(1, "k")), take(in, testBatch(), keyed(2, "k"))
	assert.True(t, in.leads(first))
	assert.False(t, in.leads(second))
	in.breakLane(first)
	in.pending(first)
	assert.False(t, in.leads(second), "put off, it would be due when row 1 is merely fresh, and a short read would show it first")

	third := take(in, testBatch(), keyed(3, "other"))
	fourth := take(in, testBatch(), keyed(4, "other"))
	in.confirmed(third)
	assert.True(t, in.leads(fourth), "row 3 is on its topic")
}

func TestKeyWithTwoRowsPutOffWaitsForBoth(t *testing.T) {
	t.Parallel()
	in := newIntake()
	in.hold(ordered(36, "k"), false) // it backs off
	in.hold(ordered(35, "k"), false) // it was dead, on a topic that skips dead rows, and is requeued
	read(in)
	assert.False(t, in.admitDue(keyed(36, "k")), "35 comes first")
	assert.True(t, in.admitDue(keyed(35, "k")))
	first := take(in, testBatch(), keyed(35, "k"))
	in.confirmed(first)
	in.gone(first)
	read(in)
	assert.False(t, in.admit(keyed(37, "k")), "36 still backs off")
	assert.True(t, in.admitDue(keyed(36, "k")))
	second := take(in, testBatch(), keyed(36, "k"))
	in.confirmed(second)
	in.gone(second)
	read(in)
	assert.True(t, in.admit(keyed(37, "k")))
}

func TestHeldKeyIsFreeWhenItsRowHasVanished(t *testing.T) {
	t.Parallel()
	in := newIntake()
	in.hold(ordered(1, "a"), true)
	held := in.holding()
	assert.Equal(t, map[int64]Key{1: {"t", "a"}}, held)
	in.hold(ordered(2, "b"), true) // meanwhile
	for row, key := range held {
		in.vanished(key, row)
	}
	read(in)
	assert.True(t, in.admit(keyed(3, "a")))
	assert.False(t, in.admit(keyed(4, "b")), "nobody asked about row 2")
}

func TestStrandedKeyStaysBehindWhenTheBrokerReturnsInTheMiddleOfARead(t *testing.T) {
	t.Parallel()
	in := newIntake()
	at := pauseKey{"b", "t"}
	assert.True(t, in.admit(keyed(1, "k")))
	in.strand(keyed(1, "k"), at)
	assert.False(t, in.admit(keyed(2, "k")), "row 1 has not been taken")
	in.advance(100, 100)
	in.strand(&Row{ID: 50, Topic: "t"}, pauseKey{"", "t"})
	assert.ElementsMatch(t, []pauseKey{at, {"", "t"}}, in.strandedAt())
	in.unstrand(pauseKey{"", "t"})
	after, _ := read(in)
	assert.EqualValues(t, 49, after)
	in.unstrand(at)
	after, _ = read(in)
	assert.Zero(t, after)
	assert.True(t, in.admit(keyed(1, "k")))
}
