package matrix

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// A Result is what came of one suite on one version.
type Result struct {
	Version string            `json:"version"`
	Suite   string            `json:"suite"`
	Passed  int               `json:"passed"`
	Skipped map[string]string `json:"skipped"` // test to reason
	Failed  map[string]string `json:"failed"`  // test to the end of its output
	Took    time.Duration     `json:"took"`
}

// Good reports whether nothing failed and something passed.
func (r Result) Good() bool { return len(r.Failed) == 0 && r.Passed > 0 }

// event is a line of go test -json.
type event struct {
	Action, Package, Test, Output, ImportPath string
}

func parse(line []byte) (e event, ok bool) {
	return e, json.Unmarshal(line, &e) == nil
}

// outputKept is how much of a failed test's output is kept.
const outputKept = 4000

// read takes in the output of go test -json. Only whole tests count: a part of one fails or is skipped with it, or on its own.
func (r *Result) read(stream io.Reader, module string) error {
	r.Skipped, r.Failed = map[string]string{}, map[string]string{}
	output := map[string]string{}
	lines := bufio.NewScanner(stream)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		e, ok := parse(lines.Bytes())
		if !ok {
			continue // what a program wrote past go test
		}
		name := strings.TrimPrefix(e.Package+e.ImportPath, module+"/")
		if e.Test != "" {
			name += " " + e.Test
		}
		switch e.Action {
		case "output", "build-output":
			if all := output[name] + e.Output; len(all) <= outputKept {
				output[name] = all
			} else {
				output[name] = all[len(all)-outputKept:]
			}
		case "pass":
			if e.Test != "" && !strings.Contains(e.Test, "/") {
				r.Passed++
			}
			delete(output, name)
		case "skip":
			if e.Test != "" { // a package without tests is none
				r.Skipped[name] = reason(output[name])
			}
		case "fail", "build-fail":
			r.Failed[name] = output[name]
		}
	}
	r.forgetParents()
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read what go test says: %w", err)
	}
	return nil
}

// forgetParents leaves out the package, and the test, that failed because a part of it did.
func (r *Result) forgetParents() {
	failed := slices.Collect(maps.Keys(r.Failed))
	for _, part := range failed {
		for _, parent := range failed {
			if strings.HasPrefix(part, parent+"/") || strings.HasPrefix(part, parent+" ") {
				delete(r.Failed, parent)
			}
		}
	}
}

// reason is what a test said when it was skipped.
func reason(output string) string {
	for line := range strings.Lines(output) {
		line = strings.TrimSpace(line)
		if _, why, ok := strings.Cut(line, ".go:"); ok && !strings.HasPrefix(line, "---") {
			_, why, _ = strings.Cut(why, ": ")
			return why
		}
	}
	return "it does not say why"
}

// lacking returns the suite's tests that were neither run nor skipped.
func (s Suite) lacking(ran map[string]bool) []string {
	var missing []string
	for _, name := range s.Tests {
		if !ran[name] {
			missing = append(missing, name)
		}
	}
	return missing
}
