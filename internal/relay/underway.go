package relay

import (
	"maps"
	"slices"
	"sync"
)

// underway is the batches that have been started and are not over.
type underway struct {
	mu      sync.Mutex
	batches map[*batch]struct{}
}

func (u *underway) add(b *batch) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.batches == nil {
		u.batches = make(map[*batch]struct{})
	}
	u.batches[b] = struct{}{}
}

// remove takes out a batch that is over, and says so.
func (u *underway) remove(b *batch) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.batches, b)
	close(b.over)
}

func (u *underway) list() []*batch {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Collect(maps.Keys(u.batches))
}
