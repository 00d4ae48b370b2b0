package chaos

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLongRunGoesOnWhereItWasStopped(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.json")
	kinds := []Kind{{Name: "quick"}, {Name: "slow", LongWait: true}, {Name: "never"}}
	s, err := LoadState(path, 5)
	require.NoError(t, err)
	assert.Equal(t, []string{"quick", "slow", "never"}, Names(s.missing(kinds)))

	leg := newReport(5, "dir")
	leg.line("quick").Injected = wanted - 1
	leg.line("slow").Injected = wantedLong
	leg.line("never").NotReached = wanted
	leg.line("quick").Committed = 100
	s.enter(leg)
	bad := newReport(6, "dir of the bad one")
	bad.line("quick").Lost = 1
	bad.find("lost: event 7")
	s.enter(bad)
	require.NoError(t, s.save(path))

	s, err = LoadState(path, 99)
	require.NoError(t, err)
	assert.Equal(t, uint64(5), s.Seed, "of the run that goes on")
	assert.Equal(t, 2, s.Legs)
	assert.Equal(t, []string{"quick"}, Names(s.missing(kinds)), "what never happens is given up")
	report := s.Report()
	assert.False(t, report.OK())
	assert.Equal(t, 100, report.Total().Committed)
	assert.Contains(t, report.Findings[0], "leg with seed 6: lost: event 7 (logs are in dir of the bad one)")
}

func TestStateThatIsNone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.json")
	require.NoError(t, os.WriteFile(path, []byte("not json"), 0o600))
	_, err := LoadState(path, 1)
	require.ErrorContains(t, err, "read the state in "+path)
}
