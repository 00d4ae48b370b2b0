package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/config"
	"github.com/outbox-relay/outbox-relay/internal/relay"
)

func TestReasonsAreThoseOfTheRelay(t *testing.T) {
	t.Parallel()
	var documented, real []string
	for _, row := range table(t, section(t, "docs/wire.md", "## Reasons")) {
		documented = append(documented, spans(row[0])...)
		require.Len(t, row, 3)
		require.NotEmpty(t, row[1], row[0])
		require.NotEmpty(t, row[2], row[0])
	}
	for _, reason := range relay.Reasons() {
		real = append(real, string(reason))
	}
	require.ElementsMatch(t, real, documented)
}

func TestUserPropertiesAreThoseOfTheRelay(t *testing.T) {
	t.Parallel()
	var documented []string
	for _, row := range table(t, section(t, "docs/wire.md", "## The message")) {
		if strings.HasPrefix(row[0], "user property ") {
			documented = append(documented, spans(row[0])...)
		}
	}
	require.ElementsMatch(t, []string{relay.PropertyOrigin, relay.PropertyID, relay.PropertyDedupKey}, documented)
}

// TestNamedTestsExist holds docs/guarantees.md to its word: a claim names the test that shows it.
func TestNamedTestsExist(t *testing.T) {
	t.Parallel()
	real := map[string]bool{}
	walk(t, "_test.go", func(path string) {
		for _, found := range regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)[A-Z]\w*)\(`).FindAllStringSubmatch(read(t, path), -1) {
			real[found[1]] = true
		}
	})
	for _, document := range documents(t) {
		for _, name := range regexp.MustCompile(`\b(?:Test|Fuzz|Benchmark)[A-Z]\w+`).FindAllString(read(t, document), -1) {
			require.True(t, real[name], "%s names the test %s", document, name)
		}
	}
	claims := table(t, section(t, "docs/guarantees.md", "## What is shown by which test"))
	for _, claim := range claims {
		require.NotEmpty(t, claim[1], claim[0])
	}
}

func TestLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	for _, document := range documents(t) {
		for _, found := range regexp.MustCompile(`\]\(([^)\s]+)\)`).FindAllStringSubmatch(read(t, document), -1) {
			if strings.Contains(found[1], "://") {
				continue
			}
			file, anchor, _ := strings.Cut(found[1], "#")
			target := document
			if file != "" {
				target = filepath.Join(filepath.Dir(document), file)
			}
			_, err := os.Stat(filepath.Join(root, target))
			require.NoError(t, err, "%s links to %s", document, found[1])
			if anchor != "" {
				require.Contains(t, anchors(read(t, target)), anchor, "%s links to %s", document, found[1])
			}
		}
	}
}

// anchors are the names that GitHub gives to headings.
func anchors(text string) []string {
	var all []string
	for _, found := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(text, -1) {
		name := regexp.MustCompile(`[^\p{L}\p{N}_ -]`).ReplaceAllString(strings.ToLower(found[1]), "")
		all = append(all, strings.ReplaceAll(name, " ", "-"))
	}
	return all
}

// TestNamedPathsExist finds files and folders that have moved since they were written about.
func TestNamedPathsExist(t *testing.T) {
	t.Parallel()
	folder := regexp.MustCompile(`(?:^|[\s(` + "`" + `])((?:cmd|deploy|docs|examples|internal|migrations|outbox|txcheck)/[\w./-]*\w)`)
	for _, document := range append(documents(t), examples()...) {
		for _, found := range folder.FindAllStringSubmatch(read(t, document), -1) {
			_, err := os.Stat(filepath.Join(root, found[1]))
			require.NoError(t, err, "%s names %s", document, found[1])
		}
	}
}

func TestVariablesAreSettings(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, document := range append(documents(t), examples()...) {
		for _, name := range regexp.MustCompile(`\bOUTBOX_RELAY_[A-Z_]*[A-Z]\b`).FindAllString(read(t, document), -1) {
			seen++
			require.True(t, isSetting(name), "%s names %s", document, name)
		}
	}
	require.Greater(t, seen, 10)
	require.False(t, isSetting("OUTBOX_RELAY_TOPIC"), "this test can fail")
}

func isSetting(name string) bool {
	if name == "OUTBOX_RELAY_CONFIG" { // names the file with the settings
		return true
	}
	for _, setting := range config.Settings() {
		if setting.Env() == name {
			return true
		}
	}
	return false
}

// TestSettingsFileIsRight reads the YAML that docs/configuration.md shows.
func TestSettingsFileIsRight(t *testing.T) {
	t.Parallel()
	shown := blocks(read(t, "docs/configuration.md"), "yaml")
	require.NotEmpty(t, shown)
	for _, text := range shown {
		file := filepath.Join(t.TempDir(), "relay.yaml")
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		_, err := config.Load(config.Input{File: file}, config.NeedAll)
		require.NoError(t, err)
	}
}
