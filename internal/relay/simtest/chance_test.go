package simtest

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// chance is the one source of what is drawn at random. Once calm, nothing fails any more.
type chance struct {
	mu       sync.Mutex
	r        *rand.Rand
	calm     atomic.Bool
	severity float64 // multiplies the probability of every fault
}

func newChance(seed uint64) *chance {
	return &chance{r: rand.New(rand.NewPCG(seed, 0x6f7574626f78)), severity: 1}
}

// fault reports whether something goes wrong that does so with probability p.
func (c *chance) fault(p float64) bool { return !c.calm.Load() && c.hit(p*c.severity) }

// hit reports whether something happens that does so with probability p, faults or no faults.
func (c *chance) hit(p float64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.r.Float64() < p
}

// below draws from 0 … n-1.
func (c *chance) below(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.r.IntN(n)
}

// between draws a duration.
func (c *chance) between(least, most time.Duration) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return least + time.Duration(c.r.Int64N(int64(most-least)+1))
}

// longestTravel is longer than anything is on its way.
const longestTravel = 26 * time.Second

// travel draws how long a request or an answer is on its way: some milliseconds, at times seconds, seldom longer than any
// timeout, window or lease.
func (c *chance) travel() time.Duration {
	switch {
	case c.fault(0.003):
		return c.between(3*time.Second, longestTravel-time.Second)
	case c.fault(0.015):
		return c.between(100*time.Millisecond, 4*time.Second)
	default:
		return c.between(100*time.Microsecond, 3*time.Millisecond)
	}
}
