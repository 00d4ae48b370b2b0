package relay

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"
	otelprom "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/sdk/metric"

	"github.com/outbox-relay/outbox-relay/txcheck"
)

// scraped makes Metrics that are read the way Prometheus reads them.
func scraped(t *testing.T) (*Metrics, func() []*dto.MetricFamily) {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	reader, err := otelprom.New(otelprom.WithRegisterer(registry), otelprom.WithoutTargetInfo(), otelprom.WithoutScopeInfo())
	require.NoError(t, err)
	provider := metric.NewMeterProvider(metric.WithReader(reader))
	t.Cleanup(func() { require.NoError(t, provider.Shutdown(t.Context())) })
	m, err := NewMetrics(provider.Meter("test"))
	require.NoError(t, err)
	return m, func() []*dto.MetricFamily {
		families, err := registry.Gather()
		require.NoError(t, err)
		return families
	}
}

// value returns the value, or the count, of the one series with these labels, given as name{key="value"}.
func value(t *testing.T, families []*dto.MetricFamily, series string) float64 {
	t.Helper()
	v, found := lookup(families, series)
	require.True(t, found, "no series %s", series)
	return v
}

func lookup(families []*dto.MetricFamily, series string) (float64, bool) {
	for _, f := range families {
		for _, m := range f.GetMetric() {
			pairs := make([]string, len(m.GetLabel()))
			for i, l := range m.GetLabel() {
				pairs[i] = fmt.Sprintf("%s=%q", l.GetName(), l.GetValue())
			}
			if series == fmt.Sprintf("%s{%s}", f.GetName(), strings.Join(pairs, ",")) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount()), true
			}
		}
	}
	return 0, false
}

// useAll makes every instrument report something.
func useAll(t *testing.T, m *Metrics) {
	t.Helper()
	ctx := t.Context()
	m.Read(ctx, 5, time.Millisecond)
	m.Halves(ctx, tally{"": 1, ReasonTimeout: 1})
	m.HalfDuration(ctx, time.Millisecond)
	m.Decide(ctx, 4, time.Millisecond)
	m.Commits(ctx, tally{"": 1, ReasonLate: 1})
	m.CommitDuration(ctx, time.Millisecond)
	m.Settle(ctx, 3, time.Millisecond)
	m.Sent(ctx, "orders", 2)
	m.Latency(ctx, time.Second)
	m.Latency(ctx, time.Second)
	m.Large("orders")
	m.PutOff(ctx, ReasonFlushDiskTimeout)
	m.Dead(ctx, ReasonBodyEmpty)
	m.Resolved(ctx, true)
	m.CheckBack(ctx, txcheck.Rollback)
	m.Session(ctx)
	m.Backlog(Backlog{Rows: 7, Oldest: 90 * time.Second, PutOff: 2, Unbound: 1, Dead: 3, OpenCount: 4, OpenAge: time.Minute})
	m.InDoubt([]time.Duration{0, 9 * time.Second, 10 * time.Second, 9 * time.Minute, time.Hour})
	m.Broker("b0", true)
	m.Broker("b1", false)
	m.ClockOffset("b0", -1500*time.Millisecond)
	m.Paused("b0", "orders", ReasonSlaveNotAvailable, true)
	m.Watch(func() time.Duration { return 2 * time.Second }, func() int { return 64 })
}

func TestMetricsShowWhatTheyWereTold(t *testing.T) {
	t.Parallel()
	m, gather := scraped(t)
	useAll(t, m)
	families := gather()
	for series, want := range map[string]float64{
		`outbox_relay_read_duration_seconds{}`:                         1,
		`outbox_relay_read_rows_total{}`:                               5,
		`outbox_relay_halves_total{result="stored"}`:                   1,
		`outbox_relay_halves_total{result="timeout"}`:                  1,
		`outbox_relay_halves_total{result="lost"}`:                     0,
		`outbox_relay_commits_total{result="confirmed"}`:               1,
		`outbox_relay_commits_total{result="late"}`:                    1,
		`outbox_relay_rows_sent_total{topic="orders"}`:                 2,
		`outbox_relay_rows_put_off_total{reason="flush_disk_timeout"}`: 1,
		`outbox_relay_rows_dead_total{reason="body_empty"}`:            1,
		`outbox_relay_resolved_total{outcome="found"}`:                 1,
		`outbox_relay_resolved_total{outcome="absent"}`:                0,
		`outbox_relay_check_backs_total{answer="rollback"}`:            1,
		`outbox_relay_check_backs_total{answer="commit"}`:              0,
		`outbox_relay_sessions_total{}`:                                1,
		`outbox_relay_broken_promises_total{}`:                         0,
		`outbox_relay_batch_size{}`:                                    1,
		`outbox_relay_row_latency_seconds{}`:                           2,
		`outbox_relay_backlog_rows{}`:                                  7,
		`outbox_relay_backlog_oldest_age_seconds{}`:                    90,
		`outbox_relay_backlog_put_off_rows{}`:                          2,
		`outbox_relay_backlog_unbound_rows{}`:                          1,
		`outbox_relay_dead_rows{}`:                                     3,
		`outbox_relay_ledger_open_entries{}`:                           4,
		`outbox_relay_ledger_open_oldest_age_seconds{}`:                60,
		`outbox_relay_in_doubt_messages{age="under_10s"}`:              2,
		`outbox_relay_in_doubt_messages{age="under_1m"}`:               1,
		`outbox_relay_in_doubt_messages{age="under_10m"}`:              1,
		`outbox_relay_in_doubt_messages{age="older"}`:                  1,
		`outbox_relay_broker_up{broker="b0"}`:                          1,
		`outbox_relay_broker_up{broker="b1"}`:                          0,
		`outbox_relay_topic_paused{broker="b0",topic="orders"}`:        1,
		`outbox_relay_lease_age_seconds{}`:                             2,
		`outbox_relay_shards{}`:                                        64,
		`outbox_relay_alert{kind="in_doubt"}`:                          1,
		`outbox_relay_alert{kind="topic_paused"}`:                      1,
		`outbox_relay_alert{kind="unbound_rows"}`:                      1,
		`outbox_relay_alert{kind="dead_rows"}`:                         1,
		`outbox_relay_alert{kind="broken_promise"}`:                    0,
		`outbox_relay_alert{kind="foreign_halves"}`:                    0,
		`messaging_client_operation_duration_seconds{messaging_operation_name="send",messaging_system="rocketmq"}`:                              1,
		`messaging_client_operation_duration_seconds{messaging_operation_name="commit",messaging_system="rocketmq"}`:                            1,
		`messaging_client_sent_messages_total{messaging_destination_name="orders",messaging_operation_name="send",messaging_system="rocketmq"}`: 2,
		`messaging_client_sent_messages_total{error_type="timeout",messaging_operation_name="send",messaging_system="rocketmq"}`:                1,
	} {
		require.InDelta(t, want, value(t, families, series), 0.001, series)
	}
}

func TestMetricsBeforeAnythingHappened(t *testing.T) {
	t.Parallel()
	_, gather := scraped(t)
	families := gather()
	for _, r := range Reasons() {
		require.Zero(t, value(t, families, fmt.Sprintf("outbox_relay_halves_total{result=%q}", r)))
		require.Zero(t, value(t, families, fmt.Sprintf("outbox_relay_commits_total{result=%q}", r)))
		require.Zero(t, value(t, families, fmt.Sprintf("outbox_relay_rows_dead_total{reason=%q}", r)))
	}
	for _, kind := range Alerts() {
		require.Zero(t, value(t, families, fmt.Sprintf("outbox_relay_alert{kind=%q}", kind)))
	}
	for _, unknown := range []string{"outbox_relay_backlog_rows{}", "outbox_relay_lease_age_seconds{}", `outbox_relay_in_doubt_messages{age="older"}`} {
		_, found := lookup(families, unknown)
		require.False(t, found, "%s is not known yet", unknown)
	}
}

func TestAlertsEnd(t *testing.T) {
	t.Parallel()
	m, gather := scraped(t)
	alert := func(kind AlertKind) float64 {
		return value(t, gather(), fmt.Sprintf("outbox_relay_alert{kind=%q}", kind))
	}

	m.Paused("b0", "orders", ReasonBusy, true)
	require.Zero(t, alert(AlertPaused), "a busy broker is no alert")
	m.Paused("b0", "orders", ReasonSlaveNotAvailable, true)
	m.Paused("b1", "", ReasonUnreachable, true)
	require.InDelta(t, 1, alert(AlertPaused), 0)
	m.Paused("b0", "orders", "", false)
	require.InDelta(t, 1, alert(AlertPaused), 0, "the other broker is still paused")
	require.InDelta(t, 1, value(t, gather(), `outbox_relay_topic_paused{broker="b1",topic="*"}`), 0)
	m.Paused("b1", "", "", false)
	require.Zero(t, alert(AlertPaused))
	require.Zero(t, value(t, gather(), `outbox_relay_topic_paused{broker="b1",topic="*"}`))

	m.Backlog(Backlog{Unbound: 1, Dead: 1})
	require.InDelta(t, 1, alert(AlertUnbound)+alert(AlertDead)-1, 0)
	m.Backlog(Backlog{})
	require.Zero(t, alert(AlertUnbound)+alert(AlertDead))

	m.InDoubt([]time.Duration{10 * time.Minute})
	require.InDelta(t, 1, alert(AlertInDoubt), 0)
	m.InDoubt(nil)
	require.Zero(t, alert(AlertInDoubt))
	require.Zero(t, value(t, gather(), `outbox_relay_in_doubt_messages{age="older"}`))

	m.Broken(t.Context(), 0)
	require.Zero(t, alert(AlertBrokenPromise))
	m.Broken(t.Context(), 2)
	m.Broken(t.Context(), 0)
	require.InDelta(t, 1, alert(AlertBrokenPromise), 0, "it does not end by itself")
	require.InDelta(t, 2, value(t, gather(), "outbox_relay_broken_promises_total{}"), 0)

	m.Alert(AlertForeign, true)
	require.InDelta(t, 1, alert(AlertForeign), 0)
	m.Alert(AlertForeign, false)
	require.Zero(t, alert(AlertForeign))
}

func TestCountingAMessageAllocatesNothing(t *testing.T) {
	m, err := NewMetrics(noop.NewMeterProvider().Meter("test"))
	require.NoError(t, err)
	ctx := t.Context()
	require.Zero(t, testing.AllocsPerRun(100, func() {
		m.Halves(ctx, tally{"": 1, ReasonTimeout: 1})
		m.Commits(ctx, tally{"": 1})
		m.Sent(ctx, "orders", 1)
		m.Latency(ctx, time.Second)
		m.PutOff(ctx, ReasonFlushDiskTimeout)
		m.CheckBack(ctx, txcheck.Unknown)
	}))
}

func TestMetricsDocumentIsCurrent(t *testing.T) {
	t.Parallel()
	m, gather := scraped(t)
	useAll(t, m)
	const path = "../../docs/metrics.md"
	want := metricsDocument(gather())
	if os.Getenv("UPDATE_DOCS") != "" {
		require.NoError(t, os.WriteFile(path, []byte(want), 0o600))
	}
	written, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, want, string(written), "run UPDATE_DOCS=1 go test ./internal/relay -run TestMetricsDocumentIsCurrent")
}

// metricsDocument returns docs/metrics.md.
func metricsDocument(families []*dto.MetricFamily) string {
	var b strings.Builder
	b.WriteString(metricsPreface)
	for _, f := range families {
		keys := map[string]bool{}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				keys["`"+l.GetName()+"`"] = true
			}
		}
		names := make([]string, 0, len(keys))
		for k := range keys {
			names = append(names, k)
		}
		slices.Sort(names)
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f.GetName(), strings.ToLower(f.GetType().String()), strings.Join(names, ", "), f.GetHelp())
	}
	b.WriteString("\n## Alerts\n\n`outbox_relay_alert` has one series for each kind: ")
	kinds := make([]string, len(Alerts()))
	for i, a := range Alerts() {
		kinds[i] = "`" + string(a) + "`"
	}
	b.WriteString(strings.Join(kinds, ", ") + ".\n\n## Reasons\n\nThe values of `reason`, and of `result` beside `stored` and `confirmed`: ")
	reasons := make([]string, len(Reasons()))
	for i, r := range Reasons() {
		reasons[i] = "`" + string(r) + "`"
	}
	b.WriteString(strings.Join(reasons, ", ") + ".\n")
	return b.String()
}

const metricsPreface = `<!-- Made from internal/relay by UPDATE_DOCS=1 go test ./internal/relay -run TestMetricsDocumentIsCurrent. Do not edit. -->

# Metrics

The relay serves them for Prometheus at ` + "`/metrics`" + ` (setting [` + "`http.listen`" + `](configuration.md)), and exports metrics and traces by
OTLP if OpenTelemetry's variables ask for it: ` + "`OTEL_EXPORTER_OTLP_ENDPOINT`" + ` (or that of one signal) or
` + "`OTEL_METRICS_EXPORTER`, `OTEL_TRACES_EXPORTER`" + `. Without them nothing is exported anywhere.

What to alert on: ` + "`max by (kind) (outbox_relay_alert) > 0`" + `, ` + "`increase(outbox_relay_broken_promises_total[1h]) > 0`" + `, and the age of the
oldest row, ` + "`outbox_relay_backlog_oldest_age_seconds`" + `. The gauges of the backlog, dead letters and ledger show the whole
outbox: every relay reports the same, so take the maximum and not the sum.

| name | type | labels | meaning |
|---|---|---|---|
`
