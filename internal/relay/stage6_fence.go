package relay

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// The fence: from when on the broker accepts no commit of a half any more. It is what absence rests on.

// fence sends a direct ROLLBACK for each doubt until the broker answers that the window is over by its own clock, or that
// the half has left the log. A rollback removes nothing that is visible, so asking is safe.
func (d *docket) fence(ctx context.Context, address string, open []*doubt) error {
	var asked []*doubt
	var halves []StoredHalf
	for _, o := range open {
		switch {
		case time.Since(o.over) < 0 || !o.fenced.IsZero() && o.fencedBy == address:
		case o.rule == absenceWaited: // nobody can be asked
			o.fenced, o.fencedBy = time.Now(), address
		case o.rule == absenceFenced:
			asked, halves = append(asked, o), append(halves, o.half)
		}
	}
	if len(asked) == 0 {
		return nil
	}
	var unfenced *Answer
	var refused []AttemptID
	var err error
	for i, a := range d.s.broker.Rollback(ctx, address, halves) {
		switch {
		case Fenced(a):
			asked[i].fenced, asked[i].fencedBy = time.Now(), address
			if a.Code == codeIllegalOperation {
				refused = append(refused, asked[i].attempt)
			}
		case a.Err != nil:
			err = fmt.Errorf("probe the window with a rollback: %w", a.Err)
		default:
			unfenced = &a
		}
	}
	if noted := d.note(ctx, refused, address); err == nil {
		err = noted
	}
	if err != nil {
		return err
	}
	if unfenced != nil && time.Since(oldest(asked).over) > time.Minute {
		return fmt.Errorf("a minute after its window the broker still does not refuse: %s; it may be older than 5.1.4, "+
			"behind a proxy, or its clock far behind", unfenced.describe())
	}
	return nil
}

// note writes into the ledger that the broker refuses these attempts from now on, or with address "" that it does no more: all
// halves of an attempt have one born time and one window. So a relay that is killed before append_margin is over leaves what
// it has waited to the next one; where relays are killed every few seconds, nothing would ever be proven otherwise. A note
// that comes late is dated late, so it needs no lease.
func (d *docket) note(ctx context.Context, attempts []AttemptID, address string) error {
	if len(attempts) == 0 {
		return nil
	}
	slices.SortFunc(attempts, func(a, b AttemptID) int { return slices.Compare(a[:], b[:]) })
	attempts = slices.Compact(attempts)
	if err := d.s.store.NoteFence(ctx, attempts, address); err != nil {
		return fmt.Errorf("note that the windows of %d attempts are over: %w", len(attempts), err)
	}
	return nil
}

// confirm asks once more, just before absence is believed. A broker that refused and does so no more has set its clock back:
// it would accept a commit that is still on its way, so the doubts wait for the end of their windows again.
func (d *docket) confirm(ctx context.Context, address string, absent map[*doubt]bool) error {
	asked := slices.Collect(maps.Keys(absent))
	asked = slices.DeleteFunc(asked, func(o *doubt) bool { return o.rule != absenceFenced })
	if len(asked) == 0 {
		return nil
	}
	halves := make([]StoredHalf, len(asked))
	for i, o := range asked {
		halves[i] = o.half
	}
	var undone []AttemptID
	var err error
	for i, a := range d.s.broker.Rollback(ctx, address, halves) {
		switch {
		case Fenced(a):
			continue
		case a.Err != nil:
			err = fmt.Errorf("probe the window again: %w", a.Err)
		case a.Code == codeOK:
			asked[i].fenced = time.Time{}
			undone = append(undone, asked[i].attempt)
			err = errors.New("the broker no longer refuses what it has refused before: its clock was set back")
		default:
			err = fmt.Errorf("probe the window again: %s", a.describe())
		}
		delete(absent, asked[i])
	}
	return errors.Join(err, d.note(ctx, undone, ""))
}
