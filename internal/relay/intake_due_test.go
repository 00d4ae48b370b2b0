package relay

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// Many rows of one key that were put off, as after a requeue: only the first can be taken, so only it is looked for.
func TestRowsBehindAnotherOfTheirKeyAreNotLookedFor(t *testing.T) {
	t.Parallel()
	in, b := newIntake(), testBatch()
	for _, id := range []int64{7, 5, 9} {
		in.hold(keyed(id, "k"), true)
	}
	in.hold(keyed(6, "alone"), false)
	assert.ElementsMatch(t, []int64{7, 9}, in.notDue())
	assert.True(t, in.admitDue(keyed(5, "k")))
	five := take(in, b, keyed(5, "k"))
	assert.ElementsMatch(t, []int64{5, 7, 9}, in.notDue())
	in.gone(five)
	read(in)
	assert.ElementsMatch(t, []int64{9}, in.notDue(), "7 is the first now")
	assert.True(t, in.admitDue(keyed(7, "k")))

	in.doubtItem(take(in, b, keyed(6, "alone")))
	assert.Contains(t, in.notDue(), int64(6), "in doubt: nothing of its key is looked for")
}
