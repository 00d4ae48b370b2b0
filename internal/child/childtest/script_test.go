package childtest_test

import (
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/outbox-relay/outbox-relay/internal/child/childtest"
)

// Scripts are written while others are started.
func TestScriptsCanBeRunAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var g errgroup.Group
	g.SetLimit(16)
	for i := range 300 {
		g.Go(func() error {
			path := filepath.Join(dir, strconv.Itoa(i))
			childtest.Script(t, path, "exit 0")
			return exec.CommandContext(t.Context(), path).Run()
		})
	}
	require.NoError(t, g.Wait())
}
