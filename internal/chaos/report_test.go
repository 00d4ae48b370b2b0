package chaos

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func someReport() *Report {
	r := newReport(7, "somewhere")
	for _, l := range []Line{
		{Kind: nothing, Counts: Counts{Committed: 10, Delivered: 10}},
		{Kind: "broker: kill -9", Injected: 2, Counts: Counts{Committed: 5, Delivered: 5}},
	} {
		r.line(l.Kind).add(l)
	}
	return r
}

func TestReportIsBadWhateverIsBad(t *testing.T) {
	t.Parallel()
	require.True(t, someReport().OK())
	for name, spoil := range map[string]func(*Report){
		"lost":           func(r *Report) { r.line(nothing).Lost++ },
		"duplicated":     func(r *Report) { r.line(nothing).Duplicated++ },
		"reordered":      func(r *Report) { r.line(nothing).Reordered++ },
		"after rollback": func(r *Report) { r.line(nothing).AfterRollback++ },
		"foreign":        func(r *Report) { r.line(nothing).Foreign++ },
		"stuck":          func(r *Report) { r.line(nothing).Stuck++ },
		"broken promise": func(r *Report) { r.Broken = append(r.Broken, "x") },
		"dead rows":      func(r *Report) { r.find("3 rows are dead") },
	} {
		r := someReport()
		spoil(r)
		assert.False(t, r.OK(), name)
	}
	r := someReport()
	r.Exits = []string{"relay-1 ended by itself"}
	r.line("broker: kill -9").NotReached++
	assert.True(t, r.OK(), "these are no violations")
}

func TestLastLineIsTheTotals(t *testing.T) {
	t.Parallel()
	r := someReport()
	r.line("broker: kill -9").Lost = 2
	r.line("broker: kill -9").recovered(1500 * time.Millisecond)
	r.line("broker: kill -9").recovered(300 * time.Millisecond)
	var out strings.Builder
	require.NoError(t, r.Print(&out))
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	assert.Equal(t, "total: 2 faults, 15 committed, 15 delivered, 2 lost, 0 duplicated, 0 reordered, 0 delivered after rollback, 0 stuck",
		lines[len(lines)-1])
	assert.Contains(t, lines[len(lines)-2], "SEED=7 make chaos")
	assert.Contains(t, out.String(), "1.5 s  broker: kill -9", "the longest")
	assert.Contains(t, out.String(), "somewhere", "where the logs are")
}

func TestReportIsSaved(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "report.json")
	r := someReport()
	require.NoError(t, r.Save(path))
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	var back Report
	require.NoError(t, json.Unmarshal(text, &back))
	assert.Equal(t, r, &back)
}

func TestLinesOfALogThatBreakAPromise(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "relay.log")
	require.NoError(t, os.WriteFile(path, []byte(strings.Join([]string{
		`{"level":"INFO","msg":"starting"}`,
		`fatal error: runtime: cannot allocate memory`,
		`{"level":"ERROR","msg":"broken promise: the broker confirmed messages that had been given up"}`,
		`panic: runtime error: index out of range`,
	}, "\n")), 0o600))
	broken, err := scanLog(path)
	require.NoError(t, err)
	assert.Len(t, broken, 2)
	broken, err = scanLog(path + ".not-there")
	require.NoError(t, err)
	assert.Empty(t, broken)
}
