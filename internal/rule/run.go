package rule

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"time"
)

// An Outcome is what became of one mutant.
type Outcome struct {
	Mutant
	Noticed string        // the test that failed; "" if none did
	Took    time.Duration // compiling included
}

// source returns the mutated text of a file below root.
func (m Mutant) source(root string) ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(root, m.File))
	if err != nil {
		return nil, fmt.Errorf("rule %s: read what is to be mutated: %w", m.Rule, err)
	}
	if n := bytes.Count(text, []byte(m.Old)); n != 1 {
		return nil, fmt.Errorf("rule %s: %s holds the text that is to be replaced %d times, not once: %q", m.Rule, m.File, n, m.Old)
	}
	return bytes.Replace(text, []byte(m.Old), []byte(m.New), 1), nil
}

// Run mutates the source below root and runs the mutant's tests. An error means that it is not known whether they would
// notice: the mutant does not compile, or go could not be run.
func Run(ctx context.Context, root string, m Mutant) (Outcome, error) {
	began := time.Now()
	text, err := m.source(root)
	if err != nil {
		return Outcome{}, err
	}
	dir, err := os.MkdirTemp("", "outbox-relay-rule-")
	if err != nil {
		return Outcome{}, fmt.Errorf("make a folder for the mutant: %w", err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // it is in the system's temporary folder
	mutated, overlay := filepath.Join(dir, "mutant.go"), filepath.Join(dir, "overlay.json")
	list, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(root, m.File): mutated}})
	if err != nil {
		return Outcome{}, fmt.Errorf("describe the overlay: %w", err)
	}
	if err := errors.Join(os.WriteFile(mutated, text, 0o600), os.WriteFile(overlay, list, 0o600)); err != nil {
		return Outcome{}, fmt.Errorf("write the mutant: %w", err)
	}
	cmd := exec.CommandContext(ctx, "go", "test", "-count=1", "-timeout=3m", "-overlay="+overlay, "-run="+m.Tests, m.Package)
	cmd.Dir = root
	output, err := cmd.CombinedOutput()
	o := Outcome{Mutant: m, Took: time.Since(began)}
	failed := regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)`).FindSubmatch(output)
	switch {
	case err == nil:
		return o, nil
	case failed != nil:
		o.Noticed = string(failed[1])
		return o, nil
	case bytes.Contains(output, []byte("panic: test timed out")):
		o.Noticed = "a test never ended"
		return o, nil
	case bytes.Contains(output, []byte("panic: ")):
		o.Noticed = "a test panicked"
		return o, nil
	}
	return o, fmt.Errorf("rule %s, %s: run its tests: %w: %s", m.Rule, m.What, err, output)
}
