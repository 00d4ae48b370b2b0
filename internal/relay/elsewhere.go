package relay

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
)

// What becomes of an entry in doubt behind the resolver's back: an operator says so, where the broker that knew is gone. Entries
// change once, in Postgres; here is how the session notices.

// An EntryState is what the ledger says of one entry.
type EntryState int

// The states of an entry.
const (
	EntryOpen    EntryState = iota + 1
	EntrySettled            // on its topic: the row is gone
	EntryStruck             // not on its topic: the row is pending again
)

// watch looks until the session is over. That it cannot look harms no message.
func (r *resolver) watch(work context.Context) {
	for sleep(work, r.s.cfg.Renew) {
		if err := r.lookElsewhere(work); err != nil && work.Err() == nil {
			r.s.log.WarnContext(work, "entries in doubt could not be looked at in the ledger", slog.String("error", err.Error()))
		}
	}
}

// lookElsewhere lets go of the doubts whose entries are not open any more.
func (r *resolver) lookElsewhere(ctx context.Context) error {
	open := r.opened()
	if len(open) == 0 {
		return nil
	}
	states, err := r.s.store.EntryStates(ctx, attemptsOf(open))
	if err != nil {
		return fmt.Errorf("read the states of entries in doubt: %w", err)
	}
	for d, doubts := range open {
		decided := slices.DeleteFunc(doubts, func(o *doubt) bool { return states.Of(o.attempt, o.position) == EntryOpen })
		if !d.concluding.enter(ctx) {
			return nil
		}
		for _, o := range d.drop(decided) {
			again := states.Of(o.attempt, o.position) == EntryStruck
			r.s.intake.resolved(o.key, o.row, again)
			r.s.log.InfoContext(ctx, "no longer in doubt: somebody has decided it", slog.Int64("row", o.row),
				slog.String("uniq_key", o.half.UniqKey), slog.Bool("sent_again", again))
		}
		d.concluding.leave()
	}
	return nil
}

// EntryStates are the states of the entries of some attempts, by position.
type EntryStates map[AttemptID][]EntryState

// Of returns the state of one entry. An attempt that the ledger has forgotten was closed long ago: whether its row is pending,
// a read shows.
func (s EntryStates) Of(attempt AttemptID, position int) EntryState {
	if states := s[attempt]; position < len(states) {
		return states[position]
	}
	return EntryStruck
}

// opened returns the open doubts of each docket.
func (r *resolver) opened() map[*docket][]*doubt {
	r.mu.Lock()
	defer r.mu.Unlock()
	open := make(map[*docket][]*doubt, len(r.dockets))
	for _, d := range r.dockets {
		open[d] = slices.Clone(d.open)
	}
	return open
}

func attemptsOf(open map[*docket][]*doubt) []AttemptID {
	seen := make(map[AttemptID]struct{})
	for _, doubts := range open {
		for _, o := range doubts {
			seen[o.attempt] = struct{}{}
		}
	}
	return slices.Collect(maps.Keys(seen))
}
