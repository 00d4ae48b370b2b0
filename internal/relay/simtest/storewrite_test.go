package simtest

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/outbox-relay/outbox-relay/internal/relay"
)

// Write is several transactions where closings name single entries, and its line may break between any two of them.
func (c *storeClient) Write(
	ctx context.Context, session uuid.UUID, closings []relay.Closing, decisions []*relay.Attempt,
) (relay.Written, error) {
	// The caller may go on before a late request takes effect.
	closings, copied := slices.Clone(closings), make([]*relay.Attempt, len(decisions))
	for i, a := range decisions {
		attempt := *a
		attempt.Entries, attempt.Targets = slices.Clone(a.Entries), slices.Clone(a.Targets)
		copied[i] = &attempt
	}
	return call(ctx, c, "Write", often, func() (relay.Written, error) {
		w := &writing{client: c, session: session, closings: closings, decisions: copied}
		w.result.Closed = make([]relay.Closed, len(closings))
		w.result.Decided = make([]relay.Decision, len(copied))
		if !w.run() {
			return relay.Written{}, errLost
		}
		return w.result, nil
	})
}

// writing is one Write at the store.
type writing struct {
	client    *storeClient
	session   uuid.UUID
	closings  []relay.Closing
	decisions []*relay.Attempt
	result    relay.Written
}

// run does what package postgres does: single closings, then everything else in one transaction, then what that one missed.
func (w *writing) run() bool {
	var whole []int
	for i := range w.closings {
		if w.closings[i].All {
			whole = append(whole, i)
		} else if !w.close(i) {
			return false
		}
	}
	for _, i := range w.batch(whole) {
		if !w.close(i) {
			return false
		}
	}
	return true
}

// batch returns the closings that found nothing to settle as a whole. The store's lock is taken for each part: nothing that
// is written here depends on another part of the batch.
func (w *writing) batch(whole []int) (missed []int) {
	db := w.client.db
	for _, i := range whole {
		if !db.settleAll(w.closings[i].Attempt) {
			missed = append(missed, i)
		}
	}
	for i, a := range w.decisions {
		w.result.Decided[i] = db.decide(w.session, a)
	}
	return missed
}

// close closes one attempt's entries in a transaction of its own. False if the line broke before.
func (w *writing) close(i int) bool {
	world := w.client.life.w
	if world.chance.fault(often) {
		world.trace.add("%s: Write breaks off", w.client.life.name)
		return false
	}
	time.Sleep(world.chance.between(0, time.Millisecond))
	w.result.Closed[i] = w.client.db.closeEntries(w.closings[i])
	return true
}
