package audit

import (
	"math"
	"slices"
	"time"
)

// Window is a span of time.
type Window struct {
	From, To time.Time
}

// Latency says how long messages took from the return of COMMIT to the consumer.
type Latency struct {
	Count              int
	P50, P95, P99, Max time.Duration
}

// Latency measures the first message of each id that was committed. Messages that were on the way for any part of one of the
// windows are left out.
func (a *Audit) Latency(without ...Window) Latency {
	a.mu.Lock()
	defer a.mu.Unlock()
	var took []time.Duration
	seen := make(map[string]bool)
	for _, d := range a.deliveries {
		c, known := a.committed[d.ID]
		if !known || seen[d.ID] {
			continue
		}
		seen[d.ID] = true
		if slices.ContainsFunc(without, func(w Window) bool { return c.at.Before(w.To) && d.At.After(w.From) }) {
			continue
		}
		// A consumer can be faster than the writer gets to look at its clock.
		took = append(took, max(d.At.Sub(c.at), 0))
	}
	if len(took) == 0 {
		return Latency{}
	}
	slices.Sort(took)
	return Latency{
		Count: len(took), P50: percentile(took, 0.50), P95: percentile(took, 0.95), P99: percentile(took, 0.99),
		Max: took[len(took)-1],
	}
}

// percentile returns the smallest value that at least the share p of sorted does not exceed.
func percentile(sorted []time.Duration, p float64) time.Duration {
	return sorted[max(int(math.Ceil(p*float64(len(sorted))))-1, 0)]
}
