package docs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRequirementsNameTheirTests: every row of docs/requirements.md is there once, and is shown by tests of the packages that it
// names.
func TestRequirementsNameTheirTests(t *testing.T) {
	t.Parallel()
	var want, got []string
	for _, letter := range []struct {
		name string
		rows int
	}{{"A", 15}, {"B", 13}, {"C", 12}, {"D", 17}, {"E", 15}, {"G", 13}} {
		for n := range letter.rows {
			want = append(want, fmt.Sprintf("%s%02d", letter.name, n+1))
		}
	}
	for line := range strings.Lines(read(t, "docs/requirements.md")) {
		if !regexp.MustCompile(`^\| [A-Z]\d\d \|`).MatchString(line) {
			continue
		}
		cells := table(t, "| | | |\n|---|---|---|\n"+line)[0]
		require.Len(t, cells, 3, line)
		got = append(got, cells[0])
		require.NotEmpty(t, cells[1], cells[0])
		named := 0
		// "`TestA`, `TestB` (folder, folder)"
		for _, found := range regexp.MustCompile("((?:`(?:Test|Fuzz)\\w+`,? ?)+)\\(([^)]+)\\)").FindAllStringSubmatch(cells[2], -1) {
			declared := map[string]bool{}
			for folder := range strings.SplitSeq(found[2], ", ") {
				testsIn(t, folder, declared)
			}
			for _, name := range spans(found[1]) {
				named++
				require.True(t, declared[name], "%s: %s in %s", cells[0], name, found[2])
			}
		}
		require.Equal(t, strings.Count(cells[2], "`Test")+strings.Count(cells[2], "`Fuzz"), named, "%s: every test has its package", cells[0])
		require.True(t, named > 0 || strings.Contains(cells[2], "TODO(lead)"), "%s is shown by nothing", cells[0])
	}
	require.Equal(t, want, got)
}

// testsIn notes the names of a package's tests.
func testsIn(t *testing.T, folder string, names map[string]bool) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, folder, "*_test.go"))
	require.NoError(t, err)
	require.NotEmpty(t, files, folder)
	for _, file := range files {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, found := range regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Z]\w*)\(`).FindAllStringSubmatch(string(content), -1) {
			names[found[1]] = true
		}
	}
}
