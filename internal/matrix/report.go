package matrix

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Report writes the table, what was skipped and why, and what failed.
func Report(w io.Writer, results []Result) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(cells ...any) { _, _ = fmt.Fprintln(t, strings.TrimSuffix(fmt.Sprintln(cells...), "\n")) } // Flush tells of errors.
	line("RocketMQ\ttests of\tpassed\tskipped\tfailed\ttook\t")
	for _, r := range results {
		verdict := ""
		if !r.Good() {
			verdict = "FAILED"
		}
		line(fmt.Sprintf("%s\t%s\t%d\t%d\t%d\t%s\t%s", r.Version, r.Suite, r.Passed, len(r.Skipped), len(r.Failed), r.Took.Round(time.Second), verdict))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	var rest strings.Builder
	list(&rest, "skipped", results, func(r Result) map[string]string { return r.Skipped })
	list(&rest, "failed", results, func(r Result) map[string]string { return r.Failed })
	_, err := io.WriteString(w, rest.String())
	return err
}

// list writes tests by what is said about them: many are skipped for one reason.
func list(w *strings.Builder, what string, results []Result, of func(Result) map[string]string) {
	for _, r := range results {
		byReason := map[string][]string{}
		for name, why := range of(r) {
			byReason[why] = append(byReason[why], name)
		}
		for _, why := range slices.Sorted(maps.Keys(byReason)) {
			names := byReason[why]
			slices.Sort(names)
			fmt.Fprintf(w, "\n%s on %s: %s\n", what, r.Version, strings.TrimSpace(why))
			for _, name := range names {
				fmt.Fprintf(w, "  %s\n", name)
			}
		}
	}
}
