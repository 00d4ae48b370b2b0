package bench

import (
	"fmt"
	"os"
	"strings"
	"text/template"
)

// Plot draws the medians as an SVG: bars for speeds, for processor time and for latencies, with lines from the minimum to the
// maximum.
func (r *Report) Plot(path string) error {
	r.summarize()
	svg, err := r.svg()
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, []byte(svg), 0o600); err != nil {
		return fmt.Errorf("write the plot: %w", err)
	}
	return nil
}

// A panel is one diagram of bars.
type panel struct {
	Title string
	Top   int
	Bars  []bar
}

type bar struct {
	Label, Value  string
	Y             int
	Parts         []part
	Least, Most   int // ends of the line, as x
	LabelX, TextX int
}

// part is a piece of a bar.
type part struct {
	X, Width int
	Color    string
}

const (
	labelWidth = 300
	barWidth   = 480
	rowHeight  = 20
	panelHead  = 46
)

// plotted are the panels: the measures of one are put end to end.
func plotted() []struct {
	title    string
	measures []Measure
} {
	return []struct {
		title    string
		measures []Measure
	}{
		{"messages a second", []Measure{Rate}},
		{"processor time for 100,000 messages, s: relay or pump, PostgreSQL, broker", []Measure{RelayCPU, PumpCPU, PostgresCPU, BrokerCPU}},
		{"latency from commit to consumer, ms: p50, and up to p99", []Measure{ConsumeP50, ConsumeP99}},
		{"transactions of the application a second: bare, with outbox, with relay", []Measure{BareRate, OutboxRate, RelayedRate}},
	}
}

func color(m Measure) string {
	switch m {
	case PostgresCPU, OutboxRate:
		return "#336791"
	case BrokerCPU, RelayedRate:
		return "#d77310"
	case ConsumeP99:
		return "#b7d3c6"
	}
	return "#2e8b67"
}

func (r *Report) svg() (string, error) {
	var panels []panel
	top := 30
	for _, p := range plotted() {
		drawn := r.panel(p.title, p.measures, top)
		if len(drawn.Bars) > 0 {
			panels, top = append(panels, drawn), top+panelHead+rowHeight*len(drawn.Bars)
		}
	}
	var out strings.Builder
	err := plotTemplate().Execute(&out, struct {
		Width, Height int
		About         string
		Panels        []panel
	}{labelWidth + barWidth + 120, top + 20, r.Machine["processor"] + ", " + r.Machine["cores"] + " cores, " + r.Started.Format("2006-01-02"), panels})
	if err != nil {
		return "", fmt.Errorf("draw the plot: %w", err)
	}
	return out.String(), nil
}

// panel makes the bars of all cases that have one of the measures.
func (r *Report) panel(title string, measures []Measure, top int) panel {
	p := panel{Title: title, Top: top}
	most := 0.0
	byCase := map[string]map[Measure]Line{}
	var names []string
	for _, l := range r.Summary {
		for _, m := range measures {
			if l.Measure != m {
				continue
			}
			if byCase[l.Name] == nil {
				byCase[l.Name] = map[Measure]Line{}
				names = append(names, l.Name)
			}
			byCase[l.Name][m] = l
		}
	}
	stacked := len(measures) == 4
	for _, lines := range byCase {
		sum := 0.0
		for _, l := range lines {
			if stacked {
				sum += l.Median
			} else {
				sum = max(sum, l.Max)
			}
		}
		most = max(most, sum)
	}
	for _, name := range names {
		p.add(name, measures, byCase[name], most, stacked)
	}
	return p
}

// add puts the measures of one case end to end, or beside each other in rows of their own where they are no sum.
func (p *panel) add(name string, measures []Measure, lines map[Measure]Line, most float64, stacked bool) {
	at := func(x float64) int { return labelWidth + int(x/most*barWidth) }
	next := func(label string) bar {
		return bar{Label: label, Y: p.Top + panelHead - rowHeight + rowHeight*len(p.Bars), LabelX: labelWidth - 8}
	}
	if !stacked {
		for _, m := range measures {
			l, ok := lines[m]
			if !ok {
				continue
			}
			b := next(name)
			if len(measures) > 1 {
				b.Label += ", " + string(m)
			}
			b.Parts = []part{{labelWidth, at(l.Median) - labelWidth, color(m)}}
			b.Least, b.Most, b.TextX, b.Value = at(l.Min), at(l.Max), at(l.Max)+6, figure(l.Median)
			p.Bars = append(p.Bars, b)
		}
		return
	}
	b, sum := next(name), 0.0
	for _, m := range measures {
		if l, ok := lines[m]; ok {
			b.Parts = append(b.Parts, part{at(sum), at(sum+l.Median) - at(sum), color(m)})
			sum += l.Median
		}
	}
	b.Least, b.Most, b.TextX, b.Value = at(sum), at(sum), at(sum)+6, figure(sum)
	p.Bars = append(p.Bars, b)
}

func plotTemplate() *template.Template {
	return template.Must(template.New("plot").Funcs(template.FuncMap{
		"mid": func(y int) int { return y + rowHeight/2 - 2 },
		"low": func(y int) int { return y + rowHeight - 7 },
	}).Parse(`<svg xmlns="http://www.w3.org/2000/svg" width="{{.Width}}" height="{{.Height}}" font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="white"/>
<text x="12" y="20" fill="#666">{{html .About}}</text>
{{range .Panels}}<text x="12" y="{{.Top | low}}" font-weight="bold">{{html .Title}}</text>
{{range $b := .Bars}}<text x="{{.LabelX}}" y="{{.Y | low}}" text-anchor="end">{{html .Label}}</text>
{{range .Parts}}<rect x="{{.X}}" y="{{$b.Y}}" width="{{.Width}}" height="15" fill="{{.Color}}"/>
{{end}}<line x1="{{.Least}}" x2="{{.Most}}" y1="{{.Y | mid}}" y2="{{.Y | mid}}" stroke="black"/>
<text x="{{.TextX}}" y="{{.Y | low}}">{{.Value}}</text>
{{end}}{{end}}</svg>
`))
}
