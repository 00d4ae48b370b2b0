package docs_test

import (
	"io"
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/matrix"
	"github.com/outbox-relay/outbox-relay/internal/relay"
)

// TestStatusesAreShown compares docs/statuses.md with the relay's reasons and with the cases of the tests that it names.
func TestStatusesAreShown(t *testing.T) {
	t.Parallel()
	cases := read(t, "internal/app/refusal_test.go")
	documented := map[string]bool{}
	rows := table(t, section(t, "docs/statuses.md", "## What happens"))
	for _, row := range rows {
		require.Len(t, row, 7)
		for _, reason := range spans(row[1]) {
			documented[reason] = true
		}
		require.NotEmpty(t, spans(row[6]), "%s names a test", row[0])
		for _, found := range regexp.MustCompile("`TestRefusals` \\(\"([^\"]+)\"\\)").FindAllStringSubmatch(row[6], -1) {
			require.Contains(t, cases, `name: "`+found[1]+`"`, row[0])
		}
	}
	for _, found := range regexp.MustCompile(`(?m)name: "([^"]+)", reason`).FindAllStringSubmatch(cases, -1) {
		require.Contains(t, read(t, "docs/statuses.md"), `("`+found[1]+`")`, "each case is in the table")
	}
	answers := []relay.Answer{
		{Code: 1, Remark: "in-sync replicas not enough"}, {Err: io.EOF}, {Err: io.EOF, Sent: true}, {Err: os.ErrDeadlineExceeded, Sent: true},
	}
	for code := range 1000 {
		answers = append(answers, relay.Answer{Code: code})
	}
	for _, answer := range answers {
		if _, reason := relay.JudgeHalf(answer); reason != "" {
			require.True(t, documented[string(reason)], "%s is in the table", reason)
		}
	}
	for reason := range documented {
		require.Contains(t, relay.Reasons(), relay.Reason(reason))
	}
}

// TestVersionsAreThoseOfTheMatrix compares docs/compatibility.md with what make test-matrix runs.
func TestVersionsAreThoseOfTheMatrix(t *testing.T) {
	t.Parallel()
	var documented, run []string
	for _, row := range table(t, section(t, "docs/compatibility.md", "## RocketMQ")) {
		documented = append(documented, row[0]+" "+row[1])
	}
	for _, plan := range matrix.Plans() {
		what := "main job, retries, statuses"
		if plan.Suites[0].Package == "./..." {
			what = "everything"
		}
		run = append(run, plan.Version+" "+what)
	}
	require.Equal(t, run, documented)
	require.Contains(t, read(t, "docs/compatibility.md"), "internal/matrix/plan.go")
}
