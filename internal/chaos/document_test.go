package chaos

import (
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDocumentTellsOfEveryKind(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/chaos.md")
	require.NoError(t, err)
	var told []string
	for _, row := range regexp.MustCompile(`(?m)^\| ((?:relay|broker|postgres|network|clock|absence): [^|]+) \|`).FindAllStringSubmatch(string(text), -1) {
		told = append(told, row[1])
	}
	assert.Equal(t, Names(Kinds()), told)
}
