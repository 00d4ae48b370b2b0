package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A Case is one line of the table.
type Case struct {
	Name string
	// Rows are what it moves in the short form, 0 where that is not its measure.
	Rows int

	run func(ctx context.Context, w *Bench) (Values, error)
}

// A SkipError says why a case cannot be run here. It is a remark in the table, not a failure.
type SkipError struct{ Why string }

func (e *SkipError) Error() string { return e.Why }

func skip(format string, args ...any) error { return &SkipError{fmt.Sprintf(format, args...)} }

// notSupported turns the end of a relay that does not know a type of topic yet into a remark.
func notSupported(err error) error {
	if strings.Contains(err.Error(), "not supported yet") {
		return skip("not supported by this relay")
	}
	return err
}

// need returns n brokers with the setting.
func (w *Bench) need(flush Flush, n int) ([]Broker, error) {
	n = max(n, 1)
	brokers := w.cfg.Servers.brokers(flush)
	if len(brokers) < n {
		return nil, skip("needs %d brokers with flushDiskType=%s_FLUSH, there are %d", n, strings.ToUpper(string(flush)), len(brokers))
	}
	return brokers[:n], nil
}

// Cases lists every case, each beside what it is compared with.
func Cases() []Case {
	var all []Case
	for _, flush := range []Flush{Async, Sync} {
		all = append(all, flushCases(flush)...)
	}
	return slices.Concat(all, scaleCases(), steadyCases(), otherCases())
}

// flushCases are the drains and their ceilings. Waiting for the disk takes longer, so there are fewer rows.
func flushCases(flush Flush) []Case {
	full := fullRows
	if flush == Sync {
		full = fullRows / 4
	}
	drains := func(kind string, size, rows int) Case {
		return drainCase(drain{kind: kind, size: size, flush: flush, rows: rows, relays: 1})
	}
	pumps := func(kind string, size, rows int, dressed bool) Case {
		return pumpCase(newPump(kind, size, flush, rows, dressed))
	}
	cases := []Case{
		pumps("transaction", 256, full, false),
		drains("transaction", 256, full),
		pumps("transaction", 256, full/2, true),
		drains("ordered", 256, full/2),
		pumps("transaction", 1024, full/2, false),
		drains("transaction", 1024, full/2),
		pumps("normal", 256, full*2, false),
		drains("normal", 256, full),
		drains("fifo", 256, full),
		pumps("normal", 1024, full, false),
		drains("normal", 1024, full/2),
		drains("fifo", 1024, full/2),
	}
	if flush == Async { // the rest of what a topic can be
		cases = append(cases, drains("oneway", 256, full), drains("delay", 256, full/4))
	}
	return cases
}

func drainCase(d drain) Case {
	return Case{Name: fmt.Sprintf("drain %s %dB %s", d.kind, d.size, d.flush), Rows: d.rows, run: d.run}
}

// newPump has as much in flight as the relay, which is also what does it most good.
func newPump(kind string, size int, flush Flush, rows int, dressed bool) pump {
	p := pump{kind: kind, size: size, flush: flush, rows: rows, dressed: dressed, gather: 512, flying: 4}
	if kind == "normal" {
		p.gather, p.flying = 16, 3 // requests, of 32 messages each
	}
	return p
}

func pumpCase(p pump) Case {
	name := "pump"
	if p.dressed {
		name = "dressed-pump"
	}
	return Case{Name: fmt.Sprintf("%s %s %dB %s", name, p.kind, p.size, p.flush), Rows: p.rows, run: p.run}
}

// Names lists the names of cases.
func Names(cases []Case) []string {
	names := make([]string, len(cases))
	for i, c := range cases {
		names[i] = c.Name
	}
	return names
}

// Select returns the cases that the words choose: choices are separated by commas, and a case is chosen if its name has all
// the words of one of them. Without words it is all of them.
func Select(cases []Case, words string) ([]Case, error) {
	if strings.TrimSpace(words) == "" {
		return cases, nil
	}
	chosen := make([]bool, len(cases))
	var errs []error
	for choice := range strings.SplitSeq(words, ",") {
		found := false
		for i, c := range cases {
			if hasAll(strings.Fields(c.Name), strings.Fields(choice)) {
				chosen[i], found = true, true
			}
		}
		if !found {
			errs = append(errs, fmt.Errorf("no case has the words %q in its name; -list shows them", strings.TrimSpace(choice)))
		}
	}
	var some []Case
	for i, c := range cases {
		if chosen[i] {
			some = append(some, c)
		}
	}
	return some, errors.Join(errs...)
}

func hasAll(have, want []string) bool {
	for _, word := range want {
		if !slices.Contains(have, word) {
			return false
		}
	}
	return true
}

// Brokers returns how many brokers of each kind the cases can use.
func Brokers(cases []Case) (async, sync int) {
	for _, c := range cases {
		words := strings.Fields(c.Name)
		switch {
		case slices.Contains(words, string(Sync)):
			sync = 1
		case slices.Contains(words, "brokers=2"):
			async = 2
		default:
			async = max(async, 1)
		}
	}
	return async, sync
}
