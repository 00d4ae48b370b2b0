package relay

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// Backoff is the curve of waits between tries.
type Backoff struct {
	Initial time.Duration // wait after the first failure. Default 1 s.
	Factor  float64       // growth, at least 1. Default 1.6.
	Jitter  float64       // share of the wait that is drawn at random either way, 0 … 1. Default 0.2.
	Max     time.Duration // longest wait before jitter. Default 120 s.
}

// DefaultBackoff is the curve that RocketMQ documents for its own clients' flow control.
func DefaultBackoff() Backoff {
	return Backoff{Initial: time.Second, Factor: 1.6, Jitter: 0.2, Max: 120 * time.Second}
}

// Validate names the setting that breaks its rule.
func (b Backoff) Validate() error {
	if b.Initial <= 0 || b.Factor < 1 || b.Jitter < 0 || b.Jitter > 1 || b.Max < b.Initial {
		return fmt.Errorf("Retry must have Initial > 0, Factor >= 1, Jitter 0 to 1 and Max >= Initial, but it is %+v", b) //nolint:staticcheck // starts with a field name
	}
	return nil
}

// Wait returns the wait after the given number of earlier failures.
func (b Backoff) Wait(failures int) time.Duration {
	wait := min(float64(b.Initial)*math.Pow(b.Factor, float64(max(failures, 0))), float64(b.Max))
	wait *= 1 + b.Jitter*(2*rand.Float64()-1)
	return time.Duration(wait)
}
