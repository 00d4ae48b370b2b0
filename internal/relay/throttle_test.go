package relay

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestThrottleFollowsTheAnswers(t *testing.T) {
	t.Parallel()
	th := newThrottle(1000)
	room := func() int { return th.room([]string{"b"}) }
	assert.Equal(t, throttleStart, room())
	th.answered("b", 80, true)
	assert.Equal(t, throttleStart+10, room(), "an eighth more")
	th.answered("b", 1, true)
	assert.Equal(t, throttleStart+11, room(), "at least one")
	th.answered("b", 1, false)
	assert.Equal(t, (throttleStart+11)/2, room())
	for range 20 {
		th.answered("b", 1, false)
	}
	assert.Equal(t, throttleLeast, room(), "never nothing: it would never learn better")
	for range 1000 {
		th.answered("b", 512, true)
	}
	assert.Equal(t, 1000, room())
	assert.Equal(t, throttleStart, th.room([]string{"other"}), "each broker by itself")
}

func TestThrottleCountsWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	th := newThrottle(1000)
	th.add("b", 180)
	assert.Equal(t, throttleStart-180, th.room([]string{"b"}))
	th.add("b", 40)
	assert.Zero(t, th.room([]string{"b"}), "36 would be a crumb")
	th.add("b", 180)
	assert.Zero(t, th.room([]string{"b"}))
	assert.Equal(t, throttleStart, th.room([]string{"b", "c"}), "too much at b is not taken from c")
	th.done("b", 400)
	assert.Equal(t, 2*throttleStart, th.room([]string{"b", "c"}))
	assert.Zero(t, th.room(nil))
}

func TestThrottleStartsNoHigherThanTheMost(t *testing.T) {
	t.Parallel()
	th := newThrottle(8)
	assert.Equal(t, 8, th.room([]string{"b"}))
	th.answered("b", 100, true)
	assert.Equal(t, 8, th.room([]string{"b"}))
}
