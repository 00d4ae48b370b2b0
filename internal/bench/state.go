package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// loadState returns the report in the file, if it is of the same plan, and else the new one.
func loadState(path string, fresh *Report) (*Report, error) {
	if path == "" {
		return fresh, nil
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fresh, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the state: %w", err)
	}
	kept := &Report{}
	if err := json.Unmarshal(text, kept); err != nil {
		return nil, fmt.Errorf("read the state in %s: %w", path, err)
	}
	if kept.Plan != fresh.Plan {
		return nil, fmt.Errorf("the state in %s is of another run (%s, and now %s): remove it, or run the same again", path, kept.Plan, fresh.Plan)
	}
	return kept, nil
}

// save replaces the state file, so that a kill leaves the old one or the new one.
func (r *Report) save(path string) error {
	if path == "" {
		return nil
	}
	if err := r.Save(path + ".new"); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// Save writes the report as JSON.
func (r *Report) Save(path string) error {
	r.summarize()
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the report: %w", err)
	}
	if err := os.WriteFile(path, append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}
