package bench

import (
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWordsChooseCases(t *testing.T) {
	t.Parallel()
	all := Cases()
	names := Names(all)
	for i, name := range names {
		require.NotContains(t, names[:i], name)
	}
	for words, want := range map[string][]string{
		"drain transaction 256B async":  {"drain transaction 256B async"},
		"async 256B  transaction drain": {"drain transaction 256B async"},
		"pay, idle":                     {"pay", "idle"},
		"steady":                        {"steady 100/s", "steady 500/s", "steady 2000/s", "steady 5000/s", "steady normal 500/s", "steady normal 2000/s"},
		"pump transaction 256B":         {"pump transaction 256B async", "pump transaction 256B sync"},
	} {
		some, err := Select(all, words)
		require.NoError(t, err)
		require.Equal(t, want, Names(some), words)
	}
	some, err := Select(all, " ")
	require.NoError(t, err)
	require.Len(t, some, len(all))
	_, err = Select(all, "pay,earthquake,drain tsunami")
	require.ErrorContains(t, err, `"earthquake"`)
	require.ErrorContains(t, err, `"drain tsunami"`)
}

func TestBrokersThatCasesUse(t *testing.T) {
	t.Parallel()
	for words, want := range map[string][2]int{"": {2, 1}, "sync": {0, 1}, "async": {1, 0}, "pay,brokers=2": {2, 0}, "idle": {1, 0}} {
		some, err := Select(Cases(), words)
		require.NoError(t, err)
		async, sync := Brokers(some)
		require.Equal(t, want, [2]int{async, sync}, words)
	}
}

// The audit sees each kind of fault; TestEveryCaseRuns shows that it accepts what is right.
func TestAuditSeesEveryFault(t *testing.T) {
	t.Parallel()
	const rows, size = 2 * orderingKeys, 20
	good := func() []message {
		var all []message
		for n := 1; n <= rows; n++ {
			all = append(all, message{queue: n % orderingKeys % topicQueues, body: payload(n, filler(size))})
		}
		return all
	}
	judge := func(keyed bool, spoil func(all []message) []message) error {
		a := newAudit(rows, size, keyed)
		for _, m := range spoil(good()) {
			a.add(m)
		}
		return a.verdict()
	}
	swapped := func(all []message) []message {
		all[7], all[7+orderingKeys] = all[7+orderingKeys], all[7]
		return all
	}
	require.NoError(t, judge(true, func(all []message) []message { return all }))
	require.NoError(t, judge(false, swapped), "without keys there is no order")
	require.ErrorContains(t, judge(true, swapped), "1 out of order")
	require.ErrorContains(t, judge(true, func(all []message) []message {
		all[7+orderingKeys].queue++
		return all
	}), "1 out of order", "on another queue")
	require.ErrorContains(t, judge(true, func(all []message) []message {
		all[7+orderingKeys].broker++
		return all
	}), "1 out of order", "on another broker")
	require.ErrorContains(t, judge(false, func(all []message) []message { return all[1:] }), "of 2000 rows 1999 arrived")
	require.ErrorContains(t, judge(false, func(all []message) []message { return append(all, all[3]) }), "1 messages too many")
	for _, alien := range []string{"", "short", "0000000000000000abcd", "0000000000002001abcd", "00000000000000x1abcd", "0000000000000001abcde"} {
		require.ErrorContains(t, judge(false, func(all []message) []message {
			return append(all, message{body: []byte(alien)})
		}), "1 that nobody wrote", alien)
	}
}

func TestPayload(t *testing.T) {
	t.Parallel()
	body := payload(42, filler(256))
	require.Len(t, body, 256)
	require.Equal(t, "0000000000000042", string(body[:numberWidth]))
	again := payload(42, filler(256))
	require.Equal(t, body, again, "the same in every run")
}

func TestEndToStart(t *testing.T) {
	t.Parallel()
	begin := time.Now()
	series := []progress{{begin, 0}}
	for n := 1; n <= 100; n++ { // 100 messages a look in the first half, 50 in the second
		last := series[n-1]
		step := 100
		if n > 50 {
			step = 50
		}
		series = append(series, progress{last.at.Add(look), last.count + step})
	}
	ratio, ok := endToStart(series)
	require.True(t, ok)
	require.InDelta(t, 0.5, ratio, 0.01)
	_, ok = endToStart(series[:20])
	require.False(t, ok, "too short to tell")
}

func TestRecovered(t *testing.T) {
	t.Parallel()
	begin := time.Now()
	at := func(ms, count int) progress { return progress{begin.Add(time.Duration(ms) * time.Millisecond), count} }
	series := []progress{at(0, 1000)}
	for ms, count := 100, 1001; count < 6000; ms += 100 { // slow for a second, then ten times as fast
		series = append(series, at(ms, count))
		count += map[bool]int{true: 10, false: 100}[ms < 1100]
	}
	v := recovered(series)
	require.InDelta(t, 100, v[FirstMessage], 0.1)
	require.InDelta(t, 1000, v[FullSpeed], 200)
	require.Greater(t, v[Rate], 500.0)
	require.Len(t, recovered(series[:2]), 1)
	require.Empty(t, recovered(series[:1]))
}

func TestSlope(t *testing.T) {
	t.Parallel()
	require.InDelta(t, 3, slope([]sample{{0, 1}, {1, 4}, {2, 7}}), 1e-9)
	require.InDelta(t, 0, slope([]sample{{0, 5}, {1, 9}, {2, 5}}), 1e-9)
	require.Zero(t, slope([]sample{{1, 1}}))
	require.Zero(t, slope([]sample{{1, 1}, {1, 2}}))
}

func TestLatencies(t *testing.T) {
	t.Parallel()
	var l latencies
	for n := range 100 {
		l = append(l, time.Duration(n+1)*time.Millisecond)
	}
	v := Values{}
	l.add(v, ConsumeP50, ConsumeP95, ConsumeP99, ConsumeMax)
	require.Equal(t, Values{ConsumeP50: 51, ConsumeP95: 96, ConsumeP99: 100, ConsumeMax: 100}, v)
	require.Zero(t, latencies(nil).at(0.5))
}

// someReport has two rounds of a drain, its ceilings and others.
func someReport() *Report {
	r := &Report{Machine: map[string]string{"processor": "one & only <it>", "cores": "2"}, Plan: "a plan"}
	add := func(round int, name string, v Values) {
		r.Results = append(r.Results, Result{Case: name, Round: round, Rows: 100, Values: v})
	}
	for round := 1; round <= 2; round++ {
		f := float64(round)
		add(round, "pump transaction 256B async", Values{Rate: 1000 * f, PumpCPU: 1, BrokerCPU: 4, AllCPU: 5})
		add(round, "drain transaction 256B async", Values{Rate: 800 * f, RelayCPU: 2, PostgresCPU: 1, BrokerCPU: 5, AllCPU: 8})
		add(round, "drain ordered 256B async", Values{Rate: 500 * f * f})
		add(round, "steady 100/s", Values{ConsumeP50: 3, ConsumeP99: 9})
	}
	add(2, "peer debezium 256B async", Values{Rate: 400, AllCPU: 1})
	add(2, "peer debezium steady 100/s", Values{ConsumeP99: 3})
	add(1, "scale relays=1 brokers=1", Values{AllCPU: 8})
	add(2, "scale relays=3 brokers=2", Values{AllCPU: 9})
	r.Results = append(r.Results, Result{Case: "drain fifo 256B async", Round: 1, Skipped: "not supported by this relay"})
	return r
}

func TestReport(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	require.NoError(t, someReport().Print(&out))
	text := strings.Join(strings.Fields(out.String()), " ")
	assert.Contains(t, text, "drain transaction 256B async, 100 rows median min max runs msg/s 1200 800 1600 2 relay CPU s/100k 2.00 2.00 2.00 2")
	assert.Contains(t, text, "drain fifo 256B async median min max runs not supported by this relay")
	assert.Contains(t, text, "speed, relay : ceiling: drain transaction 256B async 0.80 0.80 0.80 2", "of the same round")
	assert.Contains(t, text, "speed, relay : ceiling: drain ordered 256B async 0.75 0.50 1.00 2", "its ceiling is the unordered pump")
	assert.Contains(t, text, "processor time of all, relay : ceiling: drain transaction 256B async 1.60 1.60 1.60 2")
	assert.Contains(t, text, "speed, relay : Debezium Server: drain transaction 256B async 4.00 4.00 4.00 1")
	assert.Contains(t, text, "latency p99, relay : Debezium Server: steady 100/s 3.00 3.00 3.00 1")
	assert.NotContains(t, text, "three relays and two brokers", "they did not run in the same round")
	assert.NotContains(t, text, "The time was up")
}

func TestPlotIsAPicture(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "plot.svg")
	require.NoError(t, someReport().Plot(path))
	file, err := os.Open(path)
	require.NoError(t, err)
	defer file.Close() //nolint:errcheck // Only read.
	elements := map[string]int{}
	decoder := xml.NewDecoder(file)
	for {
		token, err := decoder.Token()
		if err == io.EOF { //nolint:errorlint // It is never wrapped.
			break
		}
		require.NoError(t, err)
		if e, ok := token.(xml.StartElement); ok {
			elements[e.Name.Local]++
			for _, a := range e.Attr {
				require.False(t, strings.HasPrefix(a.Value, "-"), "%s of %s", a.Name.Local, e.Name.Local)
			}
		}
	}
	require.Equal(t, 1, elements["svg"])
	require.Equal(t, 1+4+5+3, elements["rect"], "the ground, 4 speeds, 2 + 3 parts of processor time, 3 latencies")
}

func TestARunGoesOnWhereItWasStopped(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state")
	fresh := &Report{Plan: "a plan"}
	r, err := loadState(path, fresh)
	require.NoError(t, err)
	require.Same(t, fresh, r)
	require.NoError(t, someReport().save(path))
	r, err = loadState(path, fresh)
	require.NoError(t, err)
	require.True(t, r.has("drain ordered 256B async", 2))
	require.False(t, r.has("drain ordered 256B async", 3))
	require.True(t, r.skipped("drain fifo 256B async"))
	require.False(t, r.skipped("drain ordered 256B async"))

	_, err = loadState(path, &Report{Plan: "another"})
	require.ErrorContains(t, err, "is of another run (a plan, and now another)")
	require.NoError(t, os.WriteFile(path, []byte("{"), 0o600))
	_, err = loadState(path, fresh)
	require.ErrorContains(t, err, "read the state in "+path)
	r, err = loadState("", fresh)
	require.NoError(t, err)
	require.Same(t, fresh, r)
	require.NoError(t, r.save(""))
}

func TestScale(t *testing.T) {
	t.Parallel()
	require.Equal(t, 100_000, Scale{}.rows(100_000))
	require.Equal(t, 2_500_000, Scale{Rows: 5_000_000}.rows(100_000))
	require.Equal(t, 50, Scale{Rows: 1}.rows(100_000), "enough to measure anything")
	require.Equal(t, 100_000, Scale{Rows: 5_000_000}.atMost(100_000))
	require.Equal(t, 50_000, Scale{Rows: 100_000}.atMost(100_000))
	require.Equal(t, 3*time.Second, Scale{}.duration(3*time.Second))
	require.Equal(t, 18*time.Second, Scale{Time: 6}.duration(3*time.Second))
}

func TestAnnouncement(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	c := Config{
		Repeat: 3, Cases: Cases()[:2], Scale: Scale{Rows: fullRows},
		Servers: Servers{Brokers: []Broker{{Name: "a", Address: "h:1", Flush: Async}, {Name: "b", Address: "h:2", Flush: Sync}}},
	}
	require.NoError(t, c.Announce(&out, "postgres://db"))
	for _, want := range []string{"postgres://db", "a at h:1 (async flush), b at h:2 (sync flush)", "2 cases in 3 rounds", prefix, "200000 rows"} {
		require.Contains(t, out.String(), want)
	}
}

func TestFigures(t *testing.T) {
	t.Parallel()
	for x, want := range map[float64]string{12345.6: "12346", 99.96: "100.0", 12.34: "12.3", 1.234: "1.23", 0: "0.00", -14.26: "-14.3"} {
		require.Equal(t, want, figure(x))
	}
}

func TestPortOfARelayIsInItsLog(t *testing.T) {
	t.Parallel()
	log := filepath.Join(t.TempDir(), "log")
	require.Empty(t, servingAt(log))
	require.NoError(t, os.WriteFile(log, []byte("{\"msg\":\"starting\"}\nplain\n"), 0o600))
	require.Empty(t, servingAt(log))
	line := fmt.Sprintf("{\"msg\":%q,\"address\":\"127.0.0.1:4711\"}\n", "serving metrics and health")
	require.NoError(t, os.WriteFile(log, []byte(line), 0o600))
	require.Equal(t, "127.0.0.1:4711", servingAt(log))
}
