package bench

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// A Result is one run of one case.
type Result struct {
	Case    string  `json:"case"`
	Round   int     `json:"round"`
	Rows    int     `json:"rows,omitempty"`
	Values  Values  `json:"values,omitempty"`
	Skipped string  `json:"skipped,omitempty"` // why it was not run
	Took    float64 `json:"took_seconds"`
}

// A Report is what a run measured, and where.
type Report struct {
	Started  time.Time         `json:"started"`
	Machine  map[string]string `json:"machine"`
	Versions map[string]string `json:"versions"`
	Settings map[string]string `json:"settings"`
	Plan     string            `json:"plan"` // what must be the same to go on from this report
	Cut      bool              `json:"cut,omitempty"`
	Results  []Result          `json:"results"`
	Summary  []Line            `json:"summary"`
	Ratios   []Line            `json:"ratios"`
}

func (r *Report) has(name string, round int) bool {
	return slices.ContainsFunc(r.Results, func(x Result) bool { return x.Case == name && x.Round == round })
}

// skipped reports whether a case cannot be run here.
func (r *Report) skipped(name string) bool {
	return slices.ContainsFunc(r.Results, func(x Result) bool { return x.Case == name && x.Skipped != "" })
}

// report begins a report, or goes on with the one in the state file.
func (w *Bench) report(ctx context.Context) (*Report, error) {
	r := &Report{
		Started:  time.Now().UTC().Truncate(time.Second),
		Machine:  map[string]string{"system": runtime.GOOS + "/" + runtime.GOARCH, "cores": strconv.Itoa(runtime.NumCPU()), "processor": processor(), "memory": memory()},
		Versions: w.versions(ctx),
		Settings: map[string]string{},
		Plan:     fmt.Sprintf("rows=%d time=%g cases=%s", w.cfg.Scale.rows(fullRows), w.cfg.Scale.Time, strings.Join(Names(w.cfg.Cases), ",")),
	}
	for name, value := range w.cfg.Servers.Settings {
		r.Settings[name] = value
	}
	if len(w.cfg.RelaySettings) > 0 {
		r.Settings["relay"] = strings.Join(w.cfg.RelaySettings, " ")
	}
	return loadState(w.cfg.State, r)
}

// Print writes the tables.
func (r *Report) Print(out io.Writer) error {
	r.summarize()
	t := &printer{w: tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)}
	t.printf("\n%s\n", about(r))
	name := ""
	for _, l := range r.Summary {
		if l.Name != name {
			name = l.Name
			t.printf("\n%s\tmedian\tmin\tmax\truns\n", head(l))
		}
		if l.Note != "" {
			t.printf("  %s\n", l.Note)
			continue
		}
		t.printf("  %s\t%s\t%s\t%s\t%d\n", l.Measure, figure(l.Median), figure(l.Min), figure(l.Max), l.Runs)
	}
	if len(r.Ratios) > 0 {
		t.printf("\nratios, each of two cases in the same round\tmedian\tmin\tmax\truns\n")
		for _, l := range r.Ratios {
			t.printf("  %s\t%s\t%s\t%s\t%d\n", l.Name, figure(l.Median), figure(l.Min), figure(l.Max), l.Runs)
		}
	}
	if r.Cut {
		t.printf("\nThe time was up before every case had run as often as it should.\n")
	}
	return t.flush()
}

func head(l Line) string {
	if l.Rows == 0 {
		return l.Name
	}
	return fmt.Sprintf("%s, %d rows", l.Name, l.Rows)
}

// about says where it was measured.
func about(r *Report) string {
	var b strings.Builder
	for _, part := range []struct {
		name  string
		texts map[string]string
	}{{"machine", r.Machine}, {"versions", r.Versions}, {"settings", r.Settings}} {
		var items []string
		for name, text := range part.texts {
			items = append(items, name+" "+text)
		}
		slices.Sort(items)
		fmt.Fprintf(&b, "%s: %s\n", part.name, strings.Join(items, "; "))
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// figure has three digits that count.
func figure(x float64) string {
	switch a := max(x, -x); {
	case a >= 100:
		return strconv.FormatFloat(x, 'f', 0, 64)
	case a >= 10:
		return strconv.FormatFloat(x, 'f', 1, 64)
	default:
		return strconv.FormatFloat(x, 'f', 2, 64)
	}
}

// printer keeps the first error.
type printer struct {
	w   *tabwriter.Writer
	err error
}

func (p *printer) printf(format string, args ...any) {
	if _, err := fmt.Fprintf(p.w, format, args...); p.err == nil {
		p.err = err
	}
}

func (p *printer) flush() error {
	if err := p.w.Flush(); p.err == nil {
		p.err = err
	}
	return p.err
}
