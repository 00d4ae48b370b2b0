package app

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/outbox-relay/outbox-relay/internal/config"
	"github.com/outbox-relay/outbox-relay/internal/postgres"
)

// Copy says how a copy becomes an outbox of its own.
type Copy struct {
	PublishPending bool
	DiscardPending bool
	DryRun         bool
}

// ShowOrigin writes which outbox this is and whether it is where it was made.
func ShowOrigin(ctx context.Context, cfg *config.Config, w io.Writer) error {
	return withStore(ctx, cfg, func(store *postgres.Store) error {
		o, err := store.ReadOrigin(ctx)
		if err != nil {
			return err
		}
		verdict := "it is where it was made or adopted"
		if o.Moved() {
			verdict = "it was moved or copied: a relay refuses it until origin adopt or origin new"
		}
		_, err = fmt.Fprintf(w, "origin    %s, since %s\nrecorded  %s\nhere      %s\n%s\n",
			o.ID, o.Created.UTC().Format("2006-01-02 15:04:05Z"), o.Recorded, o.Here, verdict)
		return err
	})
}

// AdoptOrigin records that the outbox was moved here, and stays what it was.
func AdoptOrigin(ctx context.Context, cfg *config.Config, w io.Writer) error {
	return withStore(ctx, cfg, func(store *postgres.Store) error {
		was, err := store.AdoptOrigin(ctx)
		if err != nil {
			return err
		}
		if !was.Moved() {
			_, err = fmt.Fprintf(w, "outbox %s is where it was: nothing to adopt\n", was.ID)
			return err
		}
		_, err = fmt.Fprintf(w, "outbox %s is at home in %s now, no longer in %s\n", was.ID, was.Here, was.Recorded)
		return err
	})
}

// NewOrigin makes a copy an outbox of its own, or says what that would change.
func NewOrigin(ctx context.Context, cfg *config.Config, c Copy, w io.Writer) error {
	rows, fate := postgres.PendingUnsaid, "stay, and what becomes of them must be said"
	switch {
	case c.PublishPending && c.DiscardPending:
		return errors.New("choose one of --publish-pending and --discard-pending")
	case c.PublishPending:
		rows, fate = postgres.PendingPublish, "are published under the new origin too, whatever becomes of them in the original"
	case c.DiscardPending:
		rows, fate = postgres.PendingDiscard, "are deleted here; the original publishes them"
	}
	return withStore(ctx, cfg, func(store *postgres.Store) error {
		copied, err := store.NewOrigin(ctx, rows, c.DryRun)
		if errors.Is(err, postgres.ErrPendingRows) {
			return fmt.Errorf("%w: %d. The original publishes them. Add --discard-pending to delete them here, or --publish-pending "+
				"to publish them from here as well, a second time if both publish to the same topics", err, copied.Pending)
		}
		if err != nil {
			return err
		}
		did := fmt.Sprintf("outbox %s is %s now", copied.Was.ID, copied.ID)
		if c.DryRun {
			did = fmt.Sprintf("dry run, nothing was changed; outbox %s would get a new origin", copied.Was.ID)
		}
		_, err = fmt.Fprintf(w, "%s\n%d pending rows %s\n%d messages that the original had under way are left to it\n%d dead letters stay\n",
			did, copied.Pending, fate, copied.Open, copied.Dead)
		return err
	})
}
