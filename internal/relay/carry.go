package relay

import (
	"context"
	"fmt"
	"log/slog"
)

// What one session knew for certain and could not write down, the next one does: a commit that was answered may be settled,
// one that was never sent may be struck. Everything else is in doubt, as after a crash.

func (r *Relay) carry(c Closing) {
	r.carriedMu.Lock()
	defer r.carriedMu.Unlock()
	r.carried = append(r.carried, c)
}

// sayCarried writes what was carried. The old session's lease is gone by now, so nothing of it can still be on its way.
func (s *session) sayCarried(ctx context.Context) error {
	s.carriedMu.Lock()
	carried := s.carried
	s.carriedMu.Unlock()
	if len(carried) == 0 {
		return nil
	}
	written, err := s.store.Write(ctx, s.id, carried, nil)
	if err != nil {
		return fmt.Errorf("write what the last session knew of %d attempts: %w", len(carried), err)
	}
	s.ledger.watch(carried, written.Closed)
	s.log.InfoContext(ctx, "settled what the last session knew", slog.Int("attempts", len(carried)))
	s.carriedMu.Lock()
	s.carried = s.carried[len(carried):]
	s.carriedMu.Unlock()
	return nil
}
