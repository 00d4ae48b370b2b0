package main

import (
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

// When Go collects garbage. By default that is when the heap has doubled, and a relay's is so small, about 10 MB, that at full speed
// it doubles many times a second: a fifth of the relay's processor time went there. So it may grow to five times, as
// long as the process stays small; one whose rows are large collects as Go does by default.

const (
	heapGrowth  = 400      // percent, as GOGC
	leastLimit  = 40 << 20 // bytes that the process may use in any case before it collects more often
	besidesHeap = 12 << 20 // bytes that a busy relay uses for stacks and the runtime's own needs
)

// memoryLimit is how many bytes the process may use before it collects more often, by what was live after the last collection.
func memoryLimit(live uint64) int64 {
	const step = 4 << 20 // a change stops the process for a moment
	doubled := min(2*live, math.MaxInt64/2) + besidesHeap
	return max(leastLimit, int64((doubled+step-1)/step*step))
}

// A collector sets Go's garbage collector, after each collection.
type collector struct {
	mu            sync.Mutex
	limit         int64
	growthBefore  int
	limitedBefore int64
	over          bool
}

// tuneCollector sets the collector for as long as the process relays, unless the environment does (GOGC, GOMEMLIMIT). restore ends it.
func tuneCollector(getenv func(string) string) (restore func()) {
	if getenv("GOGC") != "" || getenv("GOMEMLIMIT") != "" {
		return func() {}
	}
	c := &collector{limit: leastLimit, growthBefore: debug.SetGCPercent(heapGrowth), limitedBefore: debug.SetMemoryLimit(leastLimit)}
	c.afterNext()
	return c.restore
}

// afterNext has the limit adjusted when the next collection is over: what nothing points to is cleaned up then.
func (c *collector) afterNext() {
	mark := new(*byte) // a pointer, or it would share its memory with something that lives
	runtime.AddCleanup(mark, func(c *collector) { c.adjust() }, c)
}

func (c *collector) adjust() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return
	}
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	if sample[0].Value.Kind() == metrics.KindUint64 {
		if limit := memoryLimit(sample[0].Value.Uint64()); limit != c.limit {
			debug.SetMemoryLimit(limit)
			c.limit = limit
		}
	}
	c.afterNext()
}

func (c *collector) restore() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
	debug.SetGCPercent(c.growthBefore)
	debug.SetMemoryLimit(c.limitedBefore)
}
