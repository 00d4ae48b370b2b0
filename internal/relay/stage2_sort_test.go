package relay

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What becomes of a row after the answer to its half.
const (
	kept   = "kept"    // goes on to decide
	again  = "again"   // pending at once
	off    = "put off" // with the failure written to it
	buried = "dead"
)

// fate says what became of row 2.
func (b *bench) fate(made *batch) string {
	for _, it := range made.items {
		if it.row.ID == 2 {
			return kept
		}
	}
	b.db.mu.Lock()
	nOff, nDead := len(b.db.off), len(b.db.dead)
	b.db.mu.Unlock()
	switch {
	case nOff > 0:
		return off
	case nDead > 0:
		return buried
	case len(b.again(2)) == 1:
		return again
	}
	return "lost"
}

var sortAnswers = map[string]HalfAnswer{
	"stored":     storedAt(2, codeOK),
	"flush disk": storedAt(2, codeFlushDiskTimeout),
	"no slave":   storedAt(2, codeSlaveNotAvailable),
	"not synced": {Answer: Answer{Code: codeSystemError, Remark: "in-sync replicas not enough"}},
	"busy":       {Answer: Answer{Code: codeBusy}},
	"no topic":   {Answer: Answer{Code: codeTopicNotExist}},
	"refused":    {Answer: Answer{Code: codeSystemError, Remark: "UNKNOWN_ERROR"}},
	"lost":       {Answer: Answer{Err: errors.New("reset"), Sent: true}},
	"illegal":    {Answer: Answer{Code: codeMessageIllegal}},
}

// Each answer, for a row that is the only one of its batch: unordered, first of its key, or behind row 1 of another batch.
func TestSortOfOneRow(t *testing.T) {
	t.Parallel()
	tests := []struct {
		answer        string
		leads, behind string   // its fate; that of an unordered row is the same as that of the first of a key
		counted       bool     // the attempt, where it is put off
		forgets       bool     // the half, where it is not kept
		pauses        []string // "" = the whole broker
		slower        bool
	}{
		{answer: "stored", leads: kept, behind: kept, pauses: []string{}},
		{answer: "flush disk", leads: off, behind: again, counted: true, forgets: true, pauses: []string{}},
		{answer: "no slave", leads: off, behind: again, forgets: true, pauses: []string{"t"}, slower: true},
		{answer: "not synced", leads: off, behind: again, pauses: []string{"t"}, slower: true},
		{answer: "busy", leads: again, behind: again, pauses: []string{"t"}, slower: true},
		{answer: "no topic", leads: again, behind: again, pauses: []string{"t"}, slower: true},
		{answer: "refused", leads: off, behind: again, pauses: []string{"t"}, slower: true},
		{answer: "lost", leads: again, behind: again, pauses: []string{""}, slower: true},
		{answer: "illegal", leads: buried, behind: again, pauses: []string{}},
	}
	require.Len(t, tests, len(sortAnswers))
	for _, tt := range tests {
		for place, want := range map[string]string{"unordered": tt.leads, "first of its key": tt.leads, "behind": tt.behind} {
			t.Run(tt.answer+" "+place, func(t *testing.T) {
				t.Parallel()
				b := newBench(t)
				b.intake.advance(100, 100)
				row := plain(2)
				if place != "unordered" {
					row.OrderingKey = "k"
				}
				if place == "behind" {
					b.taken(ordered(1, "k"))
				}
				made := b.built(t, row)
				limit := b.throttle.of("b").limit

				made.sort([]HalfAnswer{sortAnswers[tt.answer]})
				assert.Equal(t, want, b.fate(made))
				assert.Equal(t, tt.pauses, b.paused())
				assert.Equal(t, tt.slower, b.throttle.of("b").limit < limit)
				if tt.forgets {
					assert.Equal(t, []int64{2}, b.mq.forgot())
				} else {
					assert.Empty(t, b.mq.forgot())
				}
				if want == off {
					assert.Equal(t, tt.counted, b.db.off[0].Counted)
					assert.Equal(t, time.Second, b.db.off[0].Delay)
				}
				if place != "behind" && (want == off || want == buried) && place != "unordered" {
					read(b.intake)
					assert.False(t, b.intake.admit(ordered(3, "k")), "the row holds its key")
				}
				if want != kept && want != off && want != buried && place == "behind" {
					assert.False(t, b.intake.admit(ordered(3, "k")), "3 would overtake 2")
				}
			})
		}
	}
}

// Each answer, next to a row of the same topic that was stored.
func TestSortNextToAStoredRow(t *testing.T) {
	t.Parallel()
	tests := []struct {
		answer, fate string
		counted      bool
		pauses       []string
		slower       bool
	}{
		{answer: "stored", fate: kept, pauses: []string{}},
		{answer: "flush disk", fate: off, counted: true, pauses: []string{}},
		{answer: "no slave", fate: off, pauses: []string{"t"}, slower: true},
		{answer: "busy", fate: again, pauses: []string{}, slower: true}, // it still takes some: fewer at a time is enough
		{answer: "no topic", fate: again, pauses: []string{"t"}, slower: true},
		{answer: "refused", fate: off, counted: true, pauses: []string{}}, // it is the row, not the broker
		{answer: "lost", fate: again, pauses: []string{""}, slower: true},
		{answer: "illegal", fate: buried, pauses: []string{}},
	}
	for _, tt := range tests {
		t.Run(tt.answer, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.intake.advance(100, 100)
			made := b.built(t, plain(1), plain(2))
			limit := b.throttle.of("b").limit
			made.sort([]HalfAnswer{storedAt(1, codeOK), sortAnswers[tt.answer]})
			assert.Contains(t, ids(made.items), int64(1))
			assert.Equal(t, tt.fate, b.fate(made))
			assert.Equal(t, tt.pauses, b.paused())
			assert.Equal(t, tt.slower, b.throttle.of("b").limit < limit)
			if tt.fate == off {
				assert.Equal(t, tt.counted, b.db.off[0].Counted)
			}
		})
	}
}

func TestSortGivesUpWhatIsBehindAFailure(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.intake.advance(100, 100)
	made := b.built(t, ordered(1, "k"), ordered(2, "k"), ordered(3, "k"), ordered(4, "other"))
	made.sort([]HalfAnswer{storedAt(1, codeOK), storedAt(2, codeFlushSlaveTimeout), storedAt(3, codeOK), storedAt(4, codeOK)})
	assert.Equal(t, []int64{1, 4}, ids(made.items), "the run before the failure, and other keys")
	assert.Equal(t, []int64{2, 3}, b.mq.forgot(), "both were stored and will not be committed")
	assert.Empty(t, b.db.off, "2 does not lead: put off, it would be overtaken by 1 coming back")
	assert.Equal(t, []int64{2, 3}, b.again(2, 3))
}

func TestSortOfRowsThatAreAllRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.intake.advance(100, 100)
	made := b.built(t, plain(1), plain(2), of("u", plain(3)))
	refused := sortAnswers["refused"]
	made.sort([]HalfAnswer{refused, refused, refused})
	assert.Empty(t, made.items)
	assert.Equal(t, []string{"t", "u"}, b.paused())
	require.Len(t, b.db.off, 1, "the one row of u makes way for another; which of t's two is at fault nobody knows")
	assert.EqualValues(t, 3, b.db.off[0].Row)
	assert.False(t, b.db.off[0].Counted)
	assert.Equal(t, ReasonBrokerRefused, b.db.off[0].Reason)
	assert.Contains(t, b.db.off[0].Error, "UNKNOWN_ERROR")
	assert.Equal(t, []int64{1, 2}, b.again(1, 2))
}

func TestSortResumesWhatIsStoredAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, topic := range []string{"t", "u", ""} {
		b.pauses.add("b", topic, ReasonBusy)
	}
	b.built(t, plain(1)).sort([]HalfAnswer{storedAt(1, codeOK)})
	assert.Equal(t, []string{"u"}, b.paused(), "the topic's own pause and the broker's; nothing is known of u")
	assert.Len(t, b.logs.with("resumed"), 2)
}

func TestSortKeepsAPauseWhileOneRowIsNotAnswered(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.pauses.add("b", "t", ReasonBusy)
	b.built(t, plain(1), plain(2)).sort([]HalfAnswer{storedAt(1, codeOK), sortAnswers["lost"]})
	assert.Equal(t, []string{"", "t"}, b.paused())
	assert.Empty(t, b.logs.with("resumed"))
}

func TestSortWaitsLongerForARowThatFailsOften(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	row := plain(2)
	row.Attempts = 4
	b.built(t, row).sort([]HalfAnswer{sortAnswers["flush disk"]})
	require.Len(t, b.db.off, 1)
	assert.Equal(t, b.cfg.Retry.Wait(4), b.db.off[0].Delay)
	assert.Greater(t, b.db.off[0].Delay, 6*time.Second)
	assert.Contains(t, b.db.off[0].Error, "flush_disk_timeout: code 10")
}
