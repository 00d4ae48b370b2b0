package relay

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCarriedIsWrittenByTheNextSession(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	known := []Closing{{Attempt: AttemptID{1}, All: true}, {Attempt: AttemptID{2}, Struck: []int{0}}}
	for _, c := range known {
		b.carry(c)
	}
	next := b.newSession(t.Context())
	defer next.end(nil)
	require.NoError(t, next.sayCarried(t.Context()))
	assert.Equal(t, known, b.db.closings())
	assert.Equal(t, next.id, b.db.writer)
	assert.Empty(t, b.carriedNow())
	require.NoError(t, next.sayCarried(t.Context()))
	assert.Equal(t, 1, b.db.count("Write"), "it is written once")
}

func TestCarriedIsKeptUntilItIsWritten(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	known := Closing{Attempt: AttemptID{1}, All: true}
	b.carry(known)
	b.db.write = func([]Closing, []*Attempt) (Written, error) { return Written{}, errPostgres }
	for range 3 {
		require.ErrorIs(t, b.sayCarried(t.Context()), errPostgres)
		assert.Equal(t, []Closing{known}, b.carriedNow())
	}
	b.db.write = nil
	require.NoError(t, b.sayCarried(t.Context()))
	assert.Equal(t, []Closing{known}, b.db.closings())
}

func TestWhatIsCarriedDuringTheWriteIsNotLost(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	late := Closing{Attempt: AttemptID{2}, Struck: []int{1}}
	b.carry(Closing{Attempt: AttemptID{1}, All: true})
	b.db.write = func(c []Closing, _ []*Attempt) (Written, error) {
		b.carry(late)
		return Written{Closed: make([]Closed, len(c))}, nil
	}
	require.NoError(t, b.sayCarried(t.Context()))
	assert.Equal(t, []Closing{late}, b.carriedNow())
}

func TestBrokenPromiseOfWhatWasCarriedIsReported(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.carry(Closing{Attempt: AttemptID{1}, All: true})
	b.db.write = func([]Closing, []*Attempt) (Written, error) {
		return Written{Closed: []Closed{{Broken: []int{0}}}}, nil
	}
	require.NoError(t, b.sayCarried(t.Context()))
	assert.Len(t, b.logs.with("broken promise"), 1)
}

func TestSessionDoesNotOpenBeforeWhatWasCarriedIsWritten(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.carry(Closing{Attempt: AttemptID{1}, All: true})
	b.db.write = func([]Closing, []*Attempt) (Written, error) { return Written{}, errPostgres }
	require.ErrorContains(t, b.open(t.Context()), "what the last session knew of 1 attempts")
	assert.Equal(t, []string{"OpenSession", "Origin", "BindTopic", "BindTopic", "Write"}, b.db.called(), "the old lease has to be gone first")
}
