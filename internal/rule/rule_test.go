package rule

import (
	"go/parser"
	"go/token"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Every removal still fits the source it was written for, and what it leaves is still Go. `make rules` runs them.
func TestMutantsFitTheSource(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	rules := make(map[string]bool)
	for _, m := range Mutants() {
		rules[m.Rule] = true
		text, err := m.source(root)
		if assert.NoError(t, err) {
			_, err = parser.ParseFile(token.NewFileSet(), m.File, text, parser.SkipObjectResolution)
			assert.NoError(t, err, m.What)
		}
		assert.DirExists(t, filepath.Join(root, m.Package), m.What)
	}
	for _, r := range []string{"1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"} {
		assert.True(t, rules[r], "rule %s is never removed", r)
	}
}
