package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/outbox-relay/outbox-relay/internal/config"
	"github.com/outbox-relay/outbox-relay/internal/postgres"
)

// DeadChange says what is to become of dead letters.
type DeadChange struct {
	DeadSelection
	Discard bool // otherwise they are requeued
	DryRun  bool
	JSON    bool
}

// ChangeDead requeues or discards the selected letters. Relays may run.
func ChangeDead(ctx context.Context, cfg *config.Config, c DeadChange, w io.Writer) error {
	switch {
	case !c.names() && !c.All:
		return errors.New("name the letters: --id, --topic, --key, --reason, --older-than or --newer-than, or --all of them")
	case c.names() && c.All:
		return errors.New("--all means every letter: it does not go together with a choice")
	}
	return withStore(ctx, cfg, func(store *postgres.Store) error {
		if err := c.check(ctx, store); err != nil {
			return err
		}
		plan, err := store.PlanDead(ctx, c.forStore())
		if err != nil {
			return err
		}
		if err := c.refuse(plan); err != nil {
			return fmt.Errorf("%w; nothing was changed", err)
		}
		done := 0
		if !c.DryRun {
			if done, err = c.write(ctx, store, plan); err != nil {
				return fmt.Errorf("%w; %d of %d letters are %s, the others are dead letters still: run it again", err, done, plan.Rows(), c.did())
			}
		}
		return writeChanged(w, c, plan, done)
	})
}

func (c DeadChange) did() string {
	if c.Discard {
		return "discarded"
	}
	return "requeued"
}

// refuse says what speaks against it, all at once.
func (c DeadChange) refuse(p postgres.DeadPlan) error {
	faults := []error{missing(p)}
	if p.Rows() == 0 && len(p.Missing) == 0 && !c.All {
		faults = append(faults, errors.New("no dead letter is meant: outbox-relay dead list shows what there is"))
	}
	if !c.Discard && len(p.Twice) > 0 {
		faults = append(faults, fmt.Errorf("the outbox has rows with these ids already, put back by hand: %s. Discard the letters, or delete the rows",
			ids(p.Twice)))
	}
	if !c.Discard && len(p.Behind) > 0 {
		faults = append(faults, fmt.Errorf("letters %s would wait behind earlier ones of the same ordering keys: requeue or discard those too (%s)",
			ids(p.Behind), ids(p.Before)))
	}
	if err := errors.Join(faults...); err != nil {
		return errors.New(strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	return nil
}

func (c DeadChange) write(ctx context.Context, store *postgres.Store, plan postgres.DeadPlan) (int, error) {
	if c.Discard {
		return store.DiscardDead(ctx, plan)
	}
	return store.RequeueDead(ctx, plan)
}
