package relay

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestPauseLetsOneProbeThrough(t *testing.T) {
	t.Parallel()
	p := newPauses(Backoff{Initial: time.Nanosecond, Factor: 1, Max: time.Nanosecond})
	assert.True(t, p.admit("b", "t"))
	_, news := p.add("b", "t", ReasonNotInSync)
	assert.True(t, news)
	assert.True(t, p.open("b", "t"), "a nanosecond is over")
	assert.True(t, p.admit("b", "t"), "the probe")
	assert.False(t, p.admit("b", "t"), "only one")
	assert.False(t, p.open("b", "t"))
	assert.True(t, p.admit("b", "other"))
	p.withdraw("b", "t")
	assert.True(t, p.admit("b", "t"), "the probe came to no answer")
	_, news = p.add("b", "t", ReasonNotInSync)
	assert.False(t, news, "the same trouble")
	_, news = p.add("b", "t", ReasonBusy)
	assert.True(t, news)
	assert.True(t, p.clear("b", "t"))
	assert.False(t, p.clear("b", "t"))
	assert.True(t, p.admit("b", "t"))
	assert.True(t, p.admit("b", "t"))
}

func TestPauseHoldsAndGrows(t *testing.T) {
	t.Parallel()
	p := newPauses(Backoff{Initial: time.Hour, Factor: 2, Max: 10 * time.Hour})
	wait, _ := p.add("b", "", ReasonLost)
	assert.Equal(t, time.Hour, wait)
	assert.False(t, p.admit("b", "t"), "the whole broker is paused")
	assert.True(t, p.admit("b2", "t"))
	again, news := p.add("b", "", ReasonLost)
	assert.False(t, news)
	assert.InDelta(t, time.Hour, again, float64(time.Minute), "another row of the same batch does not make it longer")
	p.paused[pauseKey{"b", ""}].until = time.Now()
	wait, _ = p.add("b", "", ReasonLost)
	assert.Equal(t, 2*time.Hour, wait)
}

func TestProbeOfATopicOutlivesAPauseOfItsBroker(t *testing.T) {
	t.Parallel()
	p := newPauses(Backoff{Initial: time.Nanosecond, Factor: 1, Max: time.Nanosecond})
	p.add("b", "t", ReasonFlowControl)
	assert.True(t, p.admit("b", "t"))
	p.withdraw("b", "t") // its half was stored, but another topic's was not answered
	p.add("b", "", ReasonTimeout)
	assert.True(t, p.admit("b", "u"))
	p.withdraw("b", "u")
	p.clear("b", "u")
	p.clear("b", "")
	assert.True(t, p.open("b", "t"))
}

func TestRowsThatArePutOffAreToldOfOnceForAWhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPauses(DefaultBackoff())
		assert.True(t, p.tell("b", "t", ReasonFlushDiskTimeout))
		assert.False(t, p.tell("b", "t", ReasonFlushDiskTimeout))
		assert.True(t, p.tell("b", "t", ReasonFlushSlaveTimeout), "another reason is news")
		assert.True(t, p.tell("b", "u", ReasonFlushDiskTimeout), "so is another topic")
		time.Sleep(tellEvery)
		assert.True(t, p.tell("b", "t", ReasonFlushDiskTimeout), "and the same after a while")
	})
}
