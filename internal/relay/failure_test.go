package relay

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPutOffThatCannotBeWrittenEndsTheSession(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.intake.advance(100, 100)
	b.db.putOff = func([]Failure) error { return errPostgres }
	b.built(t, ordered(1, "k")).sort([]HalfAnswer{storedAt(1, codeFlushDiskTimeout)})
	require.ErrorIs(t, context.Cause(b.work), errPostgres)
	require.ErrorContains(t, context.Cause(b.work), "put off 1 rows")
	read(b.intake)
	assert.False(t, b.intake.admit(ordered(1, "k")), "whether it is put off is unknown")
	assert.False(t, b.intake.admit(ordered(2, "k")))
	assert.Equal(t, []int64{1}, b.mq.forgot(), "the half is of no use either way")
}

func TestBurialThatCannotBeWrittenEndsTheSession(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.db.bury = func([]Failure) error { return ErrSessionOver }
	b.built(t, of("u", ordered(1, "k"))).sort([]HalfAnswer{sortAnswers["illegal"]})
	require.ErrorIs(t, context.Cause(b.work), ErrSessionOver)
	read(b.intake)
	assert.False(t, b.intake.admit(of("u", ordered(1, "k"))))
}

func TestDeadRowBlocksItsKeyOnlyWhereTheTopicSaysSo(t *testing.T) {
	t.Parallel()
	for topic, free := range map[string]bool{"t": false, "u": true} {
		b := newBench(t)
		b.intake.advance(100, 100)
		b.built(t, of(topic, ordered(1, "k")), of(topic, ordered(2, "k"))).
			sort([]HalfAnswer{sortAnswers["illegal"], storedAt(2, codeOK)})
		read(b.intake)
		read(b.intake)
		assert.Equal(t, free, b.intake.admit(of(topic, ordered(2, "k"))), topic)
		require.Len(t, b.db.dead, 1)
		assert.Equal(t, Failure{Row: 1, Reason: ReasonMessageIllegal, Error: "code 13: ", Status: "13 MESSAGE_ILLEGAL", Broker: "b", Counted: true}, b.db.dead[0])
		lines := b.logs.with("row is dead")
		require.Len(t, lines, 1)
		assert.Contains(t, lines[0], "row=1 topic="+topic+" reason=message_illegal")
	}
}

func TestTroubleIsSaidOnceAndResumed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for range 3 {
		b.trouble("b", "t", ReasonNotInSync, slog.String("answer", "x"))
	}
	lines := b.logs.with("paused broker=b topic=t reason=not_in_sync alert=true answer=x")
	assert.Len(t, lines, 1)
	assert.NotZero(t, b.trouble("b", "t", ReasonBusy, slog.Attr{}))
	assert.Len(t, b.logs.with("reason=busy alert=false"), 1, "another trouble")
	b.resume("b", "t")
	b.resume("b", "t")
	assert.Len(t, b.logs.with("resumed"), 1)
	assert.Empty(t, b.paused())
}

func TestSessionThatIsOverPausesNobody(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.end(errStopped)
	assert.Zero(t, b.trouble("b", "", ReasonTimeout, slog.Attr{}), "it was this relay that hung up")
	assert.Empty(t, b.paused())
	assert.Empty(t, b.logs.with("paused"))
}

func TestPausesOfASessionThatIsOverAreTakenBack(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	m, scrape := scraped(t)
	b.metrics = m
	b.trouble("b", "t", ReasonNotInSync, slog.Attr{})
	b.trouble("b", "", ReasonLost, slog.Attr{})
	sum := func() (total float64) {
		for _, f := range scrape() {
			if strings.Contains(f.GetName(), "paused") {
				for _, series := range f.GetMetric() {
					total += series.GetGauge().GetValue()
				}
			}
		}
		return total
	}
	assert.Positive(t, sum())
	b.forgetPauses()
	assert.Zero(t, sum())
}

func TestReasonsThatNeedPeople(t *testing.T) {
	t.Parallel()
	var waiting []Reason
	for _, r := range Reasons() {
		if needsPeople(r) {
			waiting = append(waiting, r)
		}
	}
	assert.ElementsMatch(t, []Reason{
		ReasonSlaveNotAvailable, ReasonNotInSync, ReasonServiceUnavailable, ReasonNoPermission, ReasonTopicMissing, ReasonBrokerRefused,
		ReasonWindowOver,
	}, waiting)
}

func FuzzDescriptionFitsATextColumn(f *testing.F) {
	f.Add("UNKNOWN_ERROR", "")
	f.Add("\x00\xff", "")
	f.Add("", strings.Repeat("ä", 400))
	f.Fuzz(func(t *testing.T, remark, failure string) {
		a := Answer{Code: 1, Remark: remark}
		if failure != "" {
			a.Err = errors.New(failure)
		}
		text := a.describe()
		if !utf8.ValidString(text) || strings.ContainsRune(text, 0) || len(text) > 500 {
			t.Fatalf("%d bytes: %q", len(text), text)
		}
	})
}
