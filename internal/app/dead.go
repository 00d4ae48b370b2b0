package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/outbox-relay/outbox-relay/internal/config"
	"github.com/outbox-relay/outbox-relay/internal/postgres"
)

// DeadSelection says which dead letters are meant. What is not set selects nothing away.
type DeadSelection struct {
	IDs       []int64
	Topic     string
	Key       string
	Reasons   []string
	OlderThan time.Duration
	NewerThan time.Duration
	All       bool // said instead of a choice
}

// names reports whether anything was chosen.
func (d DeadSelection) names() bool {
	return len(d.IDs) > 0 || d.Topic != "" || d.Key != "" || len(d.Reasons) > 0 || d.OlderThan > 0 || d.NewerThan > 0
}

func (d DeadSelection) forStore() postgres.DeadSelection {
	s := postgres.DeadSelection{Topic: d.Topic, Key: d.Key, OlderThan: d.OlderThan, NewerThan: d.NewerThan}
	if len(d.IDs) > 0 { // an empty list would choose nothing
		s.IDs = d.IDs
	}
	if len(d.Reasons) > 0 {
		s.Reasons = d.Reasons
	}
	return s
}

// check looks whether the choice can be meant. All mistakes at once.
func (d DeadSelection) check(ctx context.Context, store *postgres.Store) error {
	var faults []error
	if d.OlderThan < 0 || d.NewerThan < 0 {
		faults = append(faults, errors.New("--older-than and --newer-than must not be negative"))
	}
	if d.NewerThan > 0 && d.OlderThan >= d.NewerThan {
		faults = append(faults, fmt.Errorf("nothing is older than %s and newer than %s: --older-than must be below --newer-than", d.OlderThan, d.NewerThan))
	}
	if len(d.Reasons) > 0 {
		known, err := store.DeadReasons(ctx)
		if err != nil {
			return err
		}
		for _, reason := range d.Reasons {
			if slices.Contains(known, reason) {
				continue
			}
			hint := "the reasons are " + strings.Join(known, ", ")
			if guess := config.Closest(reason, known); guess != "" {
				hint = "did you mean " + guess + "?"
			}
			faults = append(faults, fmt.Errorf("--reason %q is unknown; %s", reason, hint))
		}
	}
	return errors.Join(faults...)
}

// DeadListing says how letters are listed.
type DeadListing struct {
	DeadSelection
	Rows  bool // each letter; otherwise how many there are of each reason and topic
	Limit int
	JSON  bool
}

// ListDead writes the selected letters, or how many there are.
func ListDead(ctx context.Context, cfg *config.Config, l DeadListing, w io.Writer) error {
	if l.Limit < 1 {
		return fmt.Errorf("--limit %d must be at least 1", l.Limit)
	}
	return withStore(ctx, cfg, func(store *postgres.Store) error {
		if err := l.check(ctx, store); err != nil {
			return err
		}
		groups, err := store.DeadGroups(ctx, l.forStore())
		if err != nil {
			return err
		}
		if !l.Rows {
			return writeGroups(w, groups, l.JSON)
		}
		rows, err := store.DeadRows(ctx, l.forStore(), l.Limit)
		if err != nil {
			return err
		}
		return writeDeadRows(w, rows, rowsIn(groups), l.JSON)
	})
}

func rowsIn(groups []postgres.DeadGroup) (n int64) {
	for _, g := range groups {
		n += g.Rows
	}
	return n
}

// headBytes is how much of a payload is shown.
const headBytes = 4096

// ShowDead writes one letter and, if a file is named, its payload into it, byte for byte.
func ShowDead(ctx context.Context, cfg *config.Config, id int64, payloadFile string, asJSON bool, w io.Writer) error {
	if id == 0 {
		return errors.New("name the letter: --id, as dead list --letters shows it")
	}
	return withStore(ctx, cfg, func(store *postgres.Store) error {
		letter, err := store.DeadLetter(ctx, id, headBytes)
		if errors.Is(err, postgres.ErrNoLetter) {
			plan, planErr := store.PlanDead(ctx, postgres.DeadSelection{IDs: []int64{id}})
			if planErr != nil {
				return planErr
			}
			return missing(plan)
		}
		if err != nil {
			return err
		}
		origin, err := store.ReadOrigin(ctx)
		if err != nil {
			return err
		}
		if payloadFile != "" {
			if err := savePayload(ctx, store, id, payloadFile); err != nil {
				return err
			}
		}
		return writeLetter(w, letter, origin.ID.String(), asJSON)
	})
}

func savePayload(ctx context.Context, store *postgres.Store, id int64, name string) (err error) {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600) // it may hold anything
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return store.DeadPayload(ctx, id, func(part []byte) error {
		_, err := file.Write(part)
		return err
	})
}

// missing says where letters are that were named and are none.
func missing(p postgres.DeadPlan) error {
	if len(p.Missing) == 0 {
		return nil
	}
	where := "sent, discarded or never there: see outbox_sent"
	if len(p.Pending) > 0 {
		where = fmt.Sprintf("%s in the outbox, pending; the others were sent, discarded or never there", ids(p.Pending))
	}
	return fmt.Errorf("no dead letter that is meant has id %s (%s)", ids(p.Missing), where)
}

// ids lists ids for people, the first few of them.
func ids(all []int64) string {
	const most = 20
	texts := make([]string, 0, most)
	for i, id := range all {
		if i == most {
			return strings.Join(texts, ", ") + fmt.Sprintf(" and %d more", len(all)-most)
		}
		texts = append(texts, strconv.FormatInt(id, 10))
	}
	return strings.Join(texts, ", ")
}
