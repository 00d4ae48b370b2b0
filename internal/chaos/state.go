package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"
)

// A long run is made of legs, each a run with servers and a seed of its own. What they found is kept in a file, so that it
// can go on where it was stopped: a leg that was cut off is begun anew.

const (
	// wanted is how often a long run injects each kind, and wantedLong those that always take long.
	wanted     = 20
	wantedLong = 3
)

// State is what a long run has found so far.
type State struct {
	Seed  uint64  `json:"seed"`
	Legs  int     `json:"legs"` // that are complete
	Lines []*Line `json:"lines"`
	// Of all legs together.
	Messages     int           `json:"messages"`
	Transactions Transactions  `json:"transactions"`
	Took         time.Duration `json:"took"`

	Bad []*Report `json:"bad,omitempty"` // legs in which something was wrong
}

// LoadState reads the file; one that does not exist is a new run with the seed.
func LoadState(path string, seed uint64) (*State, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &State{Seed: seed}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the state: %w", err)
	}
	s := &State{}
	if err := json.Unmarshal(text, s); err != nil {
		return nil, fmt.Errorf("read the state in %s: %w", path, err)
	}
	return s, nil
}

// save replaces the file, so that a kill leaves the old one or the new one.
func (s *State) save(path string) error {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the state: %w", err)
	}
	if err := os.WriteFile(path+".new", append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("write the state: %w", err)
	}
	return os.Rename(path+".new", path)
}

// missing returns the kinds that were not injected often enough. One that does not happen is given up after as many tries.
func (s *State) missing(kinds []Kind) []Kind {
	done := (&Report{Lines: s.Lines})
	var missing []Kind
	for _, k := range kinds {
		want := wanted
		if k.LongWait {
			want = wantedLong
		}
		if l := done.line(k.Name); l.Injected < want && l.NotReached < want {
			missing = append(missing, k)
		}
	}
	s.Lines = done.Lines
	return missing
}

func (s *State) enter(r *Report) {
	all := &Report{Lines: s.Lines}
	for _, l := range r.Lines {
		all.line(l.Kind).add(*l)
	}
	s.Lines = all.Lines
	s.Legs++
	s.Messages += r.Messages
	s.Took += r.Took
	s.Transactions.Committed += r.Transactions.Committed
	s.Transactions.RolledBack += r.Transactions.RolledBack
	s.Transactions.Unclear += r.Transactions.Unclear
	if !r.OK() {
		s.Bad = append(s.Bad, r)
	}
}

// Report is the sum of all legs.
func (s *State) Report() *Report {
	r := &Report{Seed: s.Seed, Lines: s.Lines, Legs: s.Legs, Messages: s.Messages, Transactions: s.Transactions, Took: s.Took}
	for _, bad := range s.Bad {
		for _, f := range bad.Findings {
			r.find("leg with seed %d: %s (logs are in %s)", bad.Seed, f, bad.Dir)
		}
		r.Broken = append(r.Broken, bad.Broken...)
	}
	return r
}

// RunLong runs legs until each kind was injected often enough, and saves the state after each.
func RunLong(ctx context.Context, cfg Config, path string) (*Report, error) {
	state, err := LoadState(path, cfg.Seed)
	if err != nil {
		return nil, err
	}
	for missing := state.missing(cfg.Kinds); len(missing) > 0; missing = state.missing(cfg.Kinds) {
		leg := cfg
		leg.Seed, leg.Kinds = state.Seed+uint64(state.Legs), missing
		begin := time.Now()
		report, err := Run(ctx, leg)
		if err != nil {
			return state.Report(), err
		}
		state.enter(report)
		if err := state.save(path); err != nil {
			return state.Report(), err
		}
		cfg.Log.LogAttrs(ctx, slog.LevelInfo, "leg", slog.Int("number", state.Legs), slog.Uint64("seed", leg.Seed),
			slog.Bool("ok", report.OK()), slog.Int("kinds_to_go", len(state.missing(cfg.Kinds))),
			slog.String("took", time.Since(begin).Round(time.Second).String()))
	}
	return state.Report(), nil
}
