package relay

import "context"

// gate is a lock that is held while something is waited for. Who wants it gives up when the session is over.
type gate chan struct{}

func newGate() gate { return make(gate, 1) }

// enter returns false if ctx is done first.
func (g gate) enter(ctx context.Context) bool {
	select {
	case g <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (g gate) leave() { <-g }
