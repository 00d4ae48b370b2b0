package relay

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// A row may be put off only if every row before it has been confirmed. One that was cut off by an earlier row may not, even when
// that row has left the lane by now: it is pending again, or in doubt.
func TestRowBehindAFailureDoesNotLead(t *testing.T) {
	t.Parallel()
	for name, leaves := range map[string]func(*intake, *item){
		"pending again": func(in *intake, it *item) { in.pending(it) },
		"in doubt":      func(in *intake, it *item) { in.doubtItem(it) },
		"put off":       func(in *intake, it *item) { in.off(it) },
	} {
		in := newIntake()
		three, five := take(in, testBatch(), keyed(3, "k")), take(in, testBatch(), keyed(5, "k"))
		assert.True(t, in.leads(three))
		assert.False(t, in.leads(five))
		in.breakLane(three)
		leaves(in, three)
		assert.False(t, in.leads(five), name)
	}
}

// What that would lead to: 5 is put off, 3 comes back and is put off as well, and when 3 has arrived nothing says that 7 must
// wait for 5, which no fresh read shows.
func TestRowThatIsPutOffIsNotOvertaken(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	first, second := b.built(t, ordered(3, "k")), b.built(t, ordered(5, "k"))
	first.sort([]HalfAnswer{sortAnswers["lost"]})
	second.sort([]HalfAnswer{storedAt(5, codeFlushDiskTimeout)})
	read(b.intake)
	read(b.intake)
	assert.Empty(t, b.db.off, "3 is pending: 5 may not be put off before it")
	b.built(t, ordered(3, "k")).sort([]HalfAnswer{storedAt(3, codeFlushDiskTimeout)})
	assert.Len(t, b.db.off, 1)
	read(b.intake)
	due := take(b.intake, testBatch(), ordered(3, "k"))
	b.intake.confirmed(due)
	b.intake.gone(due)
	read(b.intake)
	assert.True(t, b.intake.admit(ordered(5, "k")), "5 is shown by the same reads as 7")
}
