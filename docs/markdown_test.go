// Package docs_test runs what the documentation tells people to type, and compares the names in it with the code, so that
// neither can change without the other.
package docs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
)

// root is the repository, seen from here. All paths in these tests start there.
const root = ".."

func TestMain(m *testing.M) { os.Exit(stacktest.M{M: m}.Run()) }

// walk calls visit for every file whose name ends with extension. Hidden folders, testdata and what was built are left out.
func walk(t *testing.T, extension string, visit func(path string)) {
	t.Helper()
	require.NoError(t, fs.WalkDir(os.DirFS(root), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() && path != "." && (strings.HasPrefix(name, ".") || name == "testdata" || path == "bin") {
			return fs.SkipDir
		}
		if !entry.IsDir() && strings.HasSuffix(name, extension) {
			visit(path)
		}
		return nil
	}))
}

// documents are the Markdown files.
func documents(t *testing.T) []string {
	t.Helper()
	var all []string
	walk(t, ".md", func(path string) { all = append(all, path) })
	require.Contains(t, all, "README.md")
	return all
}

// examples are the files that people copy.
func examples() []string {
	return []string{"docker-compose.yml", "deploy/kubernetes/outbox-relay.yaml"}
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, path))
	require.NoError(t, err)
	return string(content)
}

// section is the text from a heading to the next one.
func section(t *testing.T, path, heading string) string {
	t.Helper()
	_, rest, found := strings.Cut(read(t, path), "\n"+heading+"\n")
	require.True(t, found, "%s has the heading %q", path, heading)
	if next := regexp.MustCompile(`(?m)^#{1,4} [A-Z]`).FindStringIndex(rest); next != nil {
		return rest[:next[0]]
	}
	return rest
}

// blocks are the fenced blocks of a language.
func blocks(text, language string) []string {
	var all []string
	for _, found := range fence().FindAllStringSubmatch(text, -1) {
		if found[1] == language {
			all = append(all, found[2])
		}
	}
	return all
}

func fence() *regexp.Regexp { return regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```$") }

// spans is what stands between backticks outside fenced blocks.
func spans(text string) []string {
	var all []string
	for _, found := range regexp.MustCompile("`([^`\n]+)`").FindAllStringSubmatch(fence().ReplaceAllString(text, ""), -1) {
		all = append(all, found[1])
	}
	return all
}

// table returns the cells of the first table, without the headings.
func table(t *testing.T, text string) [][]string {
	t.Helper()
	var rows [][]string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "|"):
			const bar = "\x00"
			cells := strings.Split(strings.Trim(strings.ReplaceAll(line, `\|`, bar), "|"), "|")
			for i := range cells {
				cells[i] = strings.ReplaceAll(strings.TrimSpace(cells[i]), bar, "|")
			}
			rows = append(rows, cells)
		case len(rows) > 0:
			return rows[2:]
		}
	}
	require.Greater(t, len(rows), 2, "there is a table")
	return rows[2:]
}
