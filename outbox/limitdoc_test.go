package outbox_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/outbox"
)

// limitRows are the rows of the table in docs/limits.md.
var limitRows = []struct {
	name string
	of   func(outbox.Limits) outbox.Limit
	show func(int64) string
}{
	{"topic name, bytes", func(l outbox.Limits) outbox.Limit { return l.Topic }, number},
	{"topic name, characters beside letters, digits, `_` and `-`", func(l outbox.Limits) outbox.Limit { return l.TopicLetters }, func(n int64) string {
		return map[int64]string{0: "`%`, `\\|`", 1: "none"}[n]
	}},
	{"producer group, bytes", func(l outbox.Limits) outbox.Limit { return l.Group }, number},
	{"payload, normal and fifo topics", func(l outbox.Limits) outbox.Limit { return l.Payload }, size},
	{"payload, transaction topics", func(l outbox.Limits) outbox.Limit { return l.PayloadTransact }, size},
	{"payload, delay topics", func(l outbox.Limits) outbox.Limit { return l.PayloadDelay }, size},
	{"payload, a warning above it", func(l outbox.Limits) outbox.Limit { return l.PayloadAdvice }, size},
	{"all properties, bytes", func(l outbox.Limits) outbox.Limit { return l.Properties }, number},
	{"user properties, bytes", func(l outbox.Limits) outbox.Limit { return l.HeaderProperties }, number},
	{"ordering key (message group), bytes", func(l outbox.Limits) outbox.Limit { return l.OrderingKey }, number},
	{"delay from sending to `deliver_at`", func(l outbox.Limits) outbox.Limit { return l.DelaySeconds }, func(n int64) string { return fmt.Sprintf("%d h", n/3600) }},
}

func number(n int64) string {
	if n == 0 {
		return "no limit of its own"
	}
	return fmt.Sprint(n)
}

func size(n int64) string {
	if n%(1<<20) == 0 {
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d KiB", n>>10)
}

// limitTable is what docs/limits.md says between its marks.
func limitTable(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	profiles := outbox.Profiles()
	limits := make([]outbox.Limits, len(profiles))
	b.WriteString("| limit |")
	for i, p := range profiles {
		var err error
		limits[i], err = p.Limits()
		require.NoError(t, err)
		fmt.Fprintf(&b, " `%s` |", p)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(profiles)) + "\n")
	for _, row := range limitRows {
		fmt.Fprintf(&b, "| %s |", row.name)
		for _, l := range limits {
			fmt.Fprintf(&b, " %s |", row.show(row.of(l).Value))
		}
		b.WriteString("\n")
	}
	b.WriteString("\nWhere the numbers are from:\n\n| limit | profiles | source |\n|---|---|---|\n")
	for _, row := range limitRows {
		var sources []string
		of := map[string][]string{}
		for _, l := range limits {
			source := row.of(l).Source
			if source == "" {
				continue
			}
			if of[source] == nil {
				sources = append(sources, source)
			}
			of[source] = append(of[source], "`"+string(l.Profile)+"`")
		}
		for _, source := range sources {
			fmt.Fprintf(&b, "| %s | %s | %s |\n", row.name, strings.Join(of[source], ", "), source)
		}
	}
	return b.String()
}

func TestLimitDocumentIsCurrent(t *testing.T) {
	t.Parallel()
	const path, begin, end = "../docs/limits.md", "<!-- the table: begin -->\n", "<!-- the table: end -->\n"
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	before, rest, found := strings.Cut(string(text), begin)
	require.True(t, found)
	written, after, found := strings.Cut(rest, end)
	require.True(t, found)
	table := limitTable(t)
	if os.Getenv("UPDATE_DOCS") != "" {
		require.NoError(t, os.WriteFile(path, []byte(before+begin+table+end+after), 0o600))
		return
	}
	require.Equal(t, table, written, "run UPDATE_DOCS=1 go test ./outbox")
}

// Every number has a source.
func TestLimitsHaveSources(t *testing.T) {
	t.Parallel()
	for _, p := range outbox.Profiles() {
		l, err := p.Limits()
		require.NoError(t, err)
		for _, row := range limitRows {
			limit := row.of(l)
			require.Equal(t, limit.Value != 0, limit.Source != "", "%s, %s", p, row.name)
		}
	}
}
