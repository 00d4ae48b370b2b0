package matrix

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// state is what a run that was stopped has behind it, in a file, for the run that goes on with it. Revision is that of the
// source: results of another one count for nothing.
type state struct {
	Revision string   `json:"revision"`
	Results  []Result `json:"results"`
}

// load reads the state; it is empty if there is none, or none of this revision.
func load(path, revision string) (*state, error) {
	s := &state{Revision: revision}
	if path == "" {
		return s, nil
	}
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the state: %w", err)
	}
	var before state
	if err := json.Unmarshal(content, &before); err != nil {
		return nil, fmt.Errorf("state in %s: %w", path, err)
	}
	if before.Revision == revision {
		return &before, nil
	}
	return s, nil
}

// done returns the result of a suite that went well before.
func (s *state) done(version, suite string) (Result, bool) {
	for _, r := range s.Results {
		if r.Version == version && r.Suite == suite && r.Good() {
			return r, true
		}
	}
	return Result{}, false
}

func (s *state) add(path string, r Result) error {
	s.Results = append(s.Results, r)
	if path == "" {
		return nil
	}
	content, err := json.MarshalIndent(s, "", "  ")
	if err == nil {
		err = os.WriteFile(path, content, 0o644)
	}
	if err != nil {
		return fmt.Errorf("write the state: %w", err)
	}
	return nil
}
