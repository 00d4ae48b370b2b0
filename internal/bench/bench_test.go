package bench_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/bench"
	"github.com/outbox-relay/outbox-relay/internal/bench/local"
	"github.com/outbox-relay/outbox-relay/internal/stack"
)

// tiny are cases of every kind; what is left out differs in its numbers only.
const tiny = "256B async,scale relays=1 brokers=1,scale relays=3 brokers=2," +
	"steady 500/s,pay,idle,start,recovery"

// TestEveryCaseRuns is the benchmark with hundreds of rows, so that it does not rot. It looks at no time.
func TestEveryCaseRuns(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts servers of its own")
	}
	t.Parallel()
	cases, err := bench.Select(bench.Cases(), tiny)
	require.NoError(t, err)
	dir := passableDir(t)
	async, sync := bench.Brokers(cases)
	servers, err := local.Start(t.Context(), local.Options{Dir: dir, Async: async, Sync: sync, Log: logger(t)})
	if missing := (*stack.MissingError)(nil); errors.As(err, &missing) {
		t.Skipf("the benchmark runs servers as processes: %v", err)
	}
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, servers.Close()) })
	cfg := bench.Config{
		Servers: servers.Servers, Relay: buildRelay(t), Cases: cases, Repeat: 1, Dir: dir,
		Scale: bench.Scale{Rows: 600, Time: 0.1}, State: filepath.Join(dir, "state"), Log: logger(t),
	}
	report, err := bench.Run(t.Context(), cfg)
	require.NoError(t, err)
	require.Len(t, report.Results, len(cases))
	for _, r := range report.Results {
		assert.True(t, r.Skipped == "not supported by this relay" || r.Skipped == "" && len(r.Values) > 0, "%+v", r)
	}
	require.Empty(t, leftovers(t, servers.Postgres))
	for words, want := range map[string][]bench.Measure{
		"drain transaction 256B async":  {bench.Memory, bench.TableSize, bench.LedgerSize, bench.Tail}, // too few rows for the rest
		"dressed-pump":                  {bench.Rate, bench.PumpCPU, bench.BrokerCPU, bench.Refused},
		"pump normal 256B async":        {bench.Rate},
		"scale relays=3 brokers=2":      {bench.Memory},
		"steady 500/s":                  {bench.Offered, bench.Slope, bench.StoreP50, bench.ConsumeP99, bench.RelayLoad},
		"pay":                           {bench.BareRate, bench.OutboxRate, bench.RelayedRate, bench.OutboxPays, bench.OutboxTxCPU},
		"idle":                          {bench.RelayLoad, bench.PostgLoad, bench.ResidentMemory},
		"start":                         {bench.FirstMessage},
		"recovery":                      {bench.FirstMessage},
		"dressed-pump transaction 256B": {bench.AllCPU},
	} {
		for _, m := range want {
			assert.Contains(t, values(t, report, words), m, words)
		}
	}
	var table strings.Builder
	require.NoError(t, report.Print(&table))
	t.Log(table.String())

	again, err := bench.Run(t.Context(), cfg)
	require.NoError(t, err)
	require.Len(t, again.Results, len(cases), "it went on from the state: nothing was left to do")
	for i, r := range report.Results {
		require.InDelta(t, r.Took, again.Results[i].Took, 1e-9)
	}
}

// values are what the case measured.
func values(t *testing.T, report *bench.Report, words string) bench.Values {
	t.Helper()
	cases, err := bench.Select(bench.Cases(), words)
	require.NoError(t, err)
	for _, r := range report.Results {
		if r.Case == cases[0].Name {
			return r.Values
		}
	}
	t.Fatalf("%s did not run", cases[0].Name)
	return nil
}

// leftovers are schemas of the benchmark.
func leftovers(t *testing.T, url string) (names []string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer conn.Close(context.Background()) //nolint:errcheck // Only read from.
	rows, err := conn.Query(t.Context(), `SELECT nspname FROM pg_namespace WHERE nspname LIKE 'outbox\_bench\_%'`)
	require.NoError(t, err)
	names, err = pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return names
}

func buildRelay(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "outbox-relay")
	output, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "github.com/outbox-relay/outbox-relay/cmd/outbox-relay").CombinedOutput()
	require.NoError(t, err, string(output))
	return binary
}

// passableDir is one that PostgreSQL's own user can enter.
func passableDir(t *testing.T) string {
	t.Helper()
	dir, err := local.Dir()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

func logger(t *testing.T) *slog.Logger { return slog.New(slog.NewTextHandler(t.Output(), nil)) }
