package telemetry

import (
	"slices"
	"sync"
)

// A Condition is one thing that must hold before the relay is ready.
type Condition struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Reason string `json:"reason,omitempty"` // why not
}

// Conditions is a fixed list of conditions. All methods may be called concurrently.
type Conditions struct {
	mu   sync.Mutex
	list []Condition
}

// NewConditions makes conditions that do not hold yet.
func NewConditions(names ...string) *Conditions {
	c := &Conditions{list: make([]Condition, len(names))}
	for i, name := range names {
		c.list[i] = Condition{Name: name, Reason: "not yet"}
	}
	return c
}

// Set says that a condition holds, if reason is "", or why it does not. It reports whether that is news, so that the caller
// can log each change once.
func (c *Conditions) Set(name, reason string) (changed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.list {
		if c.list[i].Name == name {
			was := c.list[i]
			c.list[i] = Condition{Name: name, OK: reason == "", Reason: reason}
			return was != c.list[i]
		}
	}
	return false
}

// Conditions returns all conditions.
func (c *Conditions) Conditions() []Condition {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.list)
}

// Ready reports whether all conditions hold.
func (c *Conditions) Ready() bool { return ready(c.Conditions()) }

func ready(conditions []Condition) bool {
	return !slices.ContainsFunc(conditions, func(c Condition) bool { return !c.OK })
}
