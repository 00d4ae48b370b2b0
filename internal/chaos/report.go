package chaos

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"
)

// nothing is the line of the time in which nothing was broken.
const nothing = "none"

// Line is what happened under one kind of fault.
type Line struct {
	Kind       string `json:"kind"`
	Injected   int    `json:"injected"`
	NotReached int    `json:"not_reached,omitempty"` // times that it could not be made to happen
	Counts
	Stuck int `json:"stuck"`
	// Recovery is the longest time from the end of the fault until all that was committed before had been sent, in seconds.
	Recovery float64 `json:"recovery_seconds"`

	last time.Duration
}

func (l *Line) recovered(took time.Duration) {
	l.last = took.Round(10 * time.Millisecond)
	l.Recovery = max(l.Recovery, l.last.Seconds())
}

func (l *Line) add(o Line) {
	l.Injected += o.Injected
	l.NotReached += o.NotReached
	l.Counts.add(o.Counts)
	l.Stuck += o.Stuck
	l.Recovery = max(l.Recovery, o.Recovery)
}

// Transactions counts what the writer did.
type Transactions struct {
	Committed  int64 `json:"committed"`
	RolledBack int64 `json:"rolled_back"`
	Unclear    int64 `json:"unclear"` // failed, or its COMMIT was not answered: the database knows
}

// Report is the result of a run.
type Report struct {
	Seed         uint64        `json:"seed"`
	Legs         int           `json:"legs,omitempty"` // of a long run
	Took         time.Duration `json:"took"`
	Lines        []*Line       `json:"lines"`
	Messages     int           `json:"messages"` // on the topic
	Transactions Transactions  `json:"transactions"`
	Findings     []string      `json:"findings,omitempty"`        // every violation, and what was stuck
	Broken       []string      `json:"broken_promises,omitempty"` // what the relays themselves say
	Exits        []string      `json:"exits,omitempty"`           // relays that ended by themselves; no violation
	Dir          string        `json:"dir"`                       // of the logs
}

func newReport(seed uint64, dir string) *Report { return &Report{Seed: seed, Dir: dir} }

// line returns the line of a kind.
func (r *Report) line(kind string) *Line {
	for _, l := range r.Lines {
		if l.Kind == kind {
			return l
		}
	}
	l := &Line{Kind: kind}
	r.Lines = append(r.Lines, l)
	return l
}

func (r *Report) find(format string, args ...any) {
	r.Findings = append(r.Findings, fmt.Sprintf(format, args...))
}

// account adds what a writer did, and how many messages are on the topic.
func (r *Report) account(w *Writer, messages int) {
	r.Messages += messages
	r.Transactions.Committed += w.committed.Load()
	r.Transactions.RolledBack += w.rolledBack.Load()
	r.Transactions.Unclear += w.unclear.Load()
}

// judge enters a verdict; spans names the kind of each span.
func (r *Report) judge(v *Verdict, spans []string) {
	for span, counts := range v.Spans {
		kind := nothing
		if span >= 0 && span < len(spans) {
			kind = spans[span]
		}
		r.line(kind).Counts.add(*counts)
	}
	r.Findings = append(r.Findings, v.Findings...)
}

// Total adds all lines up.
func (r *Report) Total() Line {
	total := Line{Kind: "total"}
	for _, l := range r.Lines {
		total.add(*l)
	}
	return total
}

// OK reports whether nothing was violated.
func (r *Report) OK() bool {
	total := r.Total()
	return total.violations() == 0 && total.Stuck == 0 && len(r.Broken) == 0 && len(r.Findings) == 0
}

// Print prints the table; its last line is the totals.
func (r *Report) Print(w io.Writer) error {
	var out bytes.Buffer
	for _, f := range r.Findings {
		fmt.Fprintf(&out, "FINDING %s\n", f)
	}
	for _, b := range r.Broken {
		fmt.Fprintf(&out, "BROKEN PROMISE %s\n", b)
	}
	for _, e := range r.Exits {
		fmt.Fprintf(&out, "note: %s\n", e)
	}
	if !r.OK() && r.Dir != "" {
		fmt.Fprintf(&out, "logs are in %s\n", r.Dir)
	}
	printTable(&out, r.Lines)
	fmt.Fprintf(&out, "\n%d transactions committed, %d rolled back, %d failed or unclear; %d messages on the topic; %s\n",
		r.Transactions.Committed, r.Transactions.RolledBack, r.Transactions.Unclear, r.Messages, r.Took)
	if r.Legs > 0 {
		fmt.Fprintf(&out, "%d legs, with the seeds from %d on\n", r.Legs, r.Seed)
	} else {
		fmt.Fprintf(&out, "to repeat it: SEED=%d make chaos\n", r.Seed)
	}
	fmt.Fprintln(&out, r.Total().totals())
	if _, err := w.Write(out.Bytes()); err != nil {
		return fmt.Errorf("print the report: %w", err)
	}
	return nil
}

func printTable(out *bytes.Buffer, lines []*Line) {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprint(table, "injected\tcommitted\tdelivered\tlost\tduplicated\treordered\tafter rollback\tstuck\trecovered after\t  fault\n")
	for _, l := range lines {
		kind := l.Kind
		if l.NotReached > 0 {
			kind += fmt.Sprintf(" (%d times not reached)", l.NotReached)
		}
		if l.Foreign > 0 {
			kind += fmt.Sprintf(" (%d FOREIGN)", l.Foreign)
		}
		if l.Waiting > 0 {
			kind += fmt.Sprintf(" (%d wait for the broker; %d listed as not to be known)", l.Waiting, l.Listed)
		}
		_, _ = fmt.Fprintf(table, "%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%.1f s\t  %s\n", l.Injected, l.Committed, l.Delivered, l.Lost, l.Duplicated,
			l.Reordered, l.AfterRollback, l.Stuck, l.Recovery, kind)
	}
	_ = table.Flush() // a buffer takes everything
}

func (l Line) totals() string {
	text := fmt.Sprintf("total: %d faults, %d committed, %d delivered, %d lost, %d duplicated, %d reordered, %d delivered after rollback, %d stuck",
		l.Injected, l.Committed, l.Delivered, l.Lost, l.Duplicated, l.Reordered, l.AfterRollback, l.Stuck)
	if l.Foreign > 0 {
		text += fmt.Sprintf(", %d that nobody wrote", l.Foreign)
	}
	if l.Waiting > 0 {
		text += fmt.Sprintf(", %d waiting for a broker that has gone", l.Waiting)
	}
	return text
}

// Save writes the report as JSON.
func (r *Report) Save(path string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the report: %w", err)
	}
	if err := os.WriteFile(path, append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}
