package bench

import (
	"slices"
	"strings"
)

// A Line is one measure of one case over all rounds, or one ratio.
type Line struct {
	Name    string  `json:"name"`
	Measure Measure `json:"measure,omitempty"`
	Rows    int     `json:"rows,omitempty"`
	Median  float64 `json:"median"`
	Min     float64 `json:"min"`
	Max     float64 `json:"max"`
	Runs    int     `json:"runs"`
	Note    string  `json:"note,omitempty"`
}

// summarize makes the summary and the ratios of the results.
func (r *Report) summarize() {
	r.Summary, r.Ratios = nil, nil
	var names []string
	for _, x := range r.Results {
		if !slices.Contains(names, x.Case) {
			names = append(names, x.Case)
		}
	}
	for _, name := range names {
		r.Summary = append(r.Summary, r.lines(name)...)
	}
	for _, ratio := range ratios() {
		for _, name := range names {
			if other, ok := ratio.partner(name, names); ok {
				r.addRatio(ratio, name, other)
			}
		}
	}
}

func (r *Report) lines(name string) []Line {
	var all []Line
	for _, m := range Measures() {
		var values []float64
		rows := 0
		for _, x := range r.Results {
			if value, ok := x.Values[m]; ok && x.Case == name {
				values, rows = append(values, value), x.Rows
			}
		}
		if len(values) > 0 {
			all = append(all, line(name, m, rows, values))
		}
	}
	for _, x := range r.Results {
		if x.Case == name && x.Skipped != "" {
			all = append(all, Line{Name: name, Rows: x.Rows, Note: x.Skipped})
		}
	}
	return all
}

func line(name string, m Measure, rows int, values []float64) Line {
	slices.Sort(values)
	return Line{Name: name, Measure: m, Rows: rows, Median: median(values), Min: values[0], Max: values[len(values)-1], Runs: len(values)}
}

// median of sorted values.
func median(values []float64) float64 {
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

// A ratio compares two cases in the same round: what of Name is replaced leads to the other.
type ratio struct {
	measure  Measure
	from, to string // words in the names; to "" = from is left out
	title    string
}

func ratios() []ratio {
	return []ratio{
		{Rate, "drain", "pump", "speed, relay : ceiling"},
		{Rate, "drain", "dressed-pump", "speed, relay : ceiling with the relay's properties"},
		{AllCPU, "drain", "pump", "processor time of all, relay : ceiling"},
		{Rate, "drain transaction", "peer debezium", "speed, relay : Debezium Server"},
		{Rate, "drain normal", "peer debezium", "speed, relay : Debezium Server"},
		{ConsumeP50, "steady normal", "peer debezium steady", "latency p50, relay : Debezium Server"},
		{ConsumeP99, "steady normal", "peer debezium steady", "latency p99, relay : Debezium Server"},
		{ConsumeP50, "steady", "peer debezium steady", "latency p50, relay : Debezium Server"},
		{ConsumeP99, "steady", "peer debezium steady", "latency p99, relay : Debezium Server"},
		{AllCPU, "relays=3 brokers=2", "relays=1 brokers=1", "processor time, three relays and two brokers : one and one"},
		{AllCPU, "relays=2 brokers=1", "relays=1 brokers=1", "processor time, two relays : one"},
		{AllCPU, "relays=3 brokers=1", "relays=1 brokers=1", "processor time, three relays : one"},
		{AllCPU, "relays=1 brokers=2", "relays=1 brokers=1", "processor time, two brokers : one"},
	}
}

// partner is the case that name is compared with. The ceiling of ordered topics is that of their unordered kind.
func (q ratio) partner(name string, names []string) (string, bool) {
	if !strings.Contains(" "+name+" ", " "+q.from+" ") {
		return "", false
	}
	other := strings.Replace(" "+name+" ", " "+q.from+" ", " "+q.to+" ", 1)
	if q.from == "drain" {
		other = strings.NewReplacer(" ordered ", " transaction ", " fifo ", " normal ").Replace(other)
	}
	other = strings.TrimSpace(other)
	return other, slices.Contains(names, other)
}

func (r *Report) addRatio(q ratio, name, other string) {
	var values []float64
	for _, x := range r.Results {
		for _, y := range r.Results {
			if x.Case == name && y.Case == other && x.Round == y.Round && y.Values[q.measure] > 0 && x.Values[q.measure] > 0 {
				values = append(values, x.Values[q.measure]/y.Values[q.measure])
			}
		}
	}
	if len(values) > 0 {
		r.Ratios = append(r.Ratios, line(q.title+": "+name, "", 0, values))
	}
}
