package matrix

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/stack"
)

const root = "../.."

// TestEveryListedTestExists keeps the list of what is run on old versions true: a test that was renamed would be run nowhere.
func TestEveryListedTestExists(t *testing.T) {
	t.Parallel()
	declared := regexp.MustCompile(`(?m)^func (Test[A-Z]\w*)\(`)
	for _, plan := range Plans() {
		for _, suite := range plan.Suites {
			if suite.Package == "./..." {
				continue
			}
			files, err := filepath.Glob(filepath.Join(root, suite.Package, "*_test.go"))
			require.NoError(t, err)
			require.NotEmpty(t, files, suite.Package)
			real := map[string]bool{}
			for _, file := range files {
				content, err := os.ReadFile(file)
				require.NoError(t, err)
				for _, found := range declared.FindAllStringSubmatch(string(content), -1) {
					real[found[1]] = true
				}
			}
			require.Empty(t, suite.lacking(real), "%s, on RocketMQ %s", suite.Package, plan.Version)
		}
	}
}

func TestWholeSuiteOnTheNewestAndOnTheDefault(t *testing.T) {
	t.Parallel()
	whole := map[string]bool{}
	for _, plan := range Plans() {
		whole[plan.Version] = plan.Suites[0].Package == "./..." && plan.Suites[0].Tests == nil
	}
	require.Equal(t, map[string]bool{stack.RocketMQ49: false, stack.RocketMQ51: false, stack.DefaultRocketMQVersion: true, stack.RocketMQ55: true}, whole)
}

func TestChoose(t *testing.T) {
	t.Parallel()
	all, err := Choose(Plans(), " ")
	require.NoError(t, err)
	require.Equal(t, Plans(), all)
	two, err := Choose(Plans(), "5.5.0, 4.9.7")
	require.NoError(t, err)
	require.Len(t, two, 2)
	require.Equal(t, "5.5.0", two[0].Version)
	_, err = Choose(Plans(), "5.5.1")
	require.ErrorContains(t, err, "5.5.1 is not in the matrix")
}

func TestResultOfGoTest(t *testing.T) {
	t.Parallel()
	var r Result
	require.NoError(t, r.read(strings.NewReader(`not JSON
{"Action":"run","Package":"m/a","Test":"TestGood"}
{"Action":"pass","Package":"m/a","Test":"TestGood/part"}
{"Action":"pass","Package":"m/a","Test":"TestGood"}
{"Action":"output","Package":"m/a","Test":"TestOld","Output":"    x_test.go:7: RocketMQ 4.9.7 has not got it: why\n"}
{"Action":"output","Package":"m/a","Test":"TestOld","Output":"--- SKIP: TestOld (0.00s)\n"}
{"Action":"skip","Package":"m/a","Test":"TestOld"}
{"Action":"output","Package":"m/a","Test":"TestBad/part","Output":"oops\n"}
{"Action":"fail","Package":"m/a","Test":"TestBad/part"}
{"Action":"fail","Package":"m/a","Test":"TestBad"}
{"Action":"fail","Package":"m/a"}
{"Action":"skip","Package":"m/empty"}
{"Action":"build-output","ImportPath":"m/b","Output":"undefined: x\n"}
{"Action":"build-fail","ImportPath":"m/b"}
`), "m"))
	require.Equal(t, Result{
		Passed: 1, Skipped: map[string]string{"a TestOld": "RocketMQ 4.9.7 has not got it: why"},
		Failed: map[string]string{"a TestBad/part": "oops\n", "b": "undefined: x\n"},
	}, r)
	require.False(t, r.Good())
	require.False(t, Result{}.Good(), "nothing was run")
	require.True(t, Result{Passed: 1}.Good())
	require.Equal(t, []string{"TestGone"}, Suite{Tests: []string{"TestGood", "TestGone"}}.lacking(map[string]bool{"TestGood": true}))
}

func TestReport(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	require.NoError(t, Report(&out, []Result{
		{Version: "4.9.7", Suite: "./a", Passed: 3, Skipped: map[string]string{"a TestB": "too old", "a TestA": "too old"}, Took: 61 * time.Second},
		{Version: "5.5.0", Suite: "./...", Passed: 9, Failed: map[string]string{"a TestC": "boom\n"}},
	}))
	require.Equal(t, `RocketMQ  tests of  passed  skipped  failed  took  
4.9.7     ./a       3       2        0       1m1s  
5.5.0     ./...     9       0        1       0s    FAILED

skipped on 4.9.7: too old
  a TestA
  a TestB

failed on 5.5.0: boom
  a TestC
`, out.String())
}

// What went well is not run again on the same source; what failed is.
func TestStateOfARunThatWasStopped(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state")
	s, err := load(path, "r1")
	require.NoError(t, err)
	require.NoError(t, s.add(path, Result{Version: "5.5.0", Suite: "./a", Passed: 1}))
	require.NoError(t, s.add(path, Result{Version: "5.5.0", Suite: "./b", Failed: map[string]string{"x": "y"}}))
	s, err = load(path, "r1")
	require.NoError(t, err)
	_, done := s.done("5.5.0", "./a")
	require.True(t, done)
	_, done = s.done("5.5.0", "./b")
	require.False(t, done)
	_, done = s.done("4.9.7", "./a")
	require.False(t, done)
	s, err = load(path, "r2")
	require.NoError(t, err)
	require.Empty(t, s.Results)
}
