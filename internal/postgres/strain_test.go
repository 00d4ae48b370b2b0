package postgres_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/outbox-relay/outbox-relay/internal/postgres"
	"github.com/outbox-relay/outbox-relay/internal/relay"
)

// strainRows is how many rows a strain fills and drains. The figures of docs/postgres.md are of a million:
//
//	make test PACKAGES=./internal/postgres TESTFLAGS='-run TestStrain -v -parallel 1 -timeout 60m' OUTBOX_STRAIN_ROWS=1000000
func strainRows(t *testing.T) int {
	t.Helper()
	text := os.Getenv("OUTBOX_STRAIN_ROWS")
	if text == "" {
		return 25_000
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err, "OUTBOX_STRAIN_ROWS")
	return n
}

// strains are what keeps PostgreSQL from cleaning up behind the relay, each for the whole of a drain. Autovacuum is off in all.
var strains = map[string]func(o *outbox) pgx.Tx{
	"autovacuum off": nil,
	"a reader's snapshot": func(o *outbox) pgx.Tx {
		tx, err := o.admin.BeginTx(o.t.Context(), pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
		require.NoError(o.t, err)
		_, err = tx.Exec(o.t.Context(), `SELECT count(*) FROM outbox`)
		require.NoError(o.t, err)
		return tx
	},
	"a writer elsewhere": func(o *outbox) pgx.Tx {
		o.exec(`CREATE TABLE elsewhere (id bigint); GRANT INSERT ON elsewhere TO PUBLIC`)
		return o.begin(`INSERT INTO elsewhere VALUES (1)`)
	},
	"a writer into the outbox": func(o *outbox) pgx.Tx { return o.begin(insertOne) },
}

// Whatever holds PostgreSQL up, what a statement of the relay touches does not depend on how much has been sent: the real relay
// drains a backlog, its broker being none, and at the start, in the middle and at the end every statement that runs all the
// time is explained with the arguments that the relay has for it at that moment.
func TestStrain(t *testing.T) {
	t.Parallel()
	for name, hold := range strains {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := strainRows(t)
			o := newOutbox(t)
			for _, table := range []string{"outbox", "outbox_attempt", "outbox_lease"} {
				o.exec(`ALTER TABLE ` + table + ` SET (autovacuum_enabled = off)`)
			}
			s := &strain{Store: o.Store, o: o, t: t, rows: n}
			s.start()
			late := 0
			var tx pgx.Tx
			if hold != nil {
				tx = hold(o)
				late = query1[int](o, `SELECT last_value::int - CASE WHEN is_called THEN 0 ELSE 1 END FROM outbox_id_seq`)
				s.passed(int64(late))
			}
			s.fill()
			s.drained()
			s.flat(name)
			if tx != nil {
				require.NoError(t, tx.Commit(t.Context()))
				s.drained() // a row committed late with a small id, below everything that was sent
				require.Equal(t, int64(n+late), s.broker.committed.Load())
			}
			s.sizesStay()
		})
	}
}

// A strain is one drain and what is measured in it.
type strain struct {
	*postgres.Store
	o      *outbox
	t      *testing.T
	rows   int
	broker nullBroker

	mu      sync.Mutex
	read    int       // rows, so far
	after   int64     // of the last fresh read
	moments []moment  // start, middle, end
	reads   []float64 // milliseconds
	writes  []float64
	due     relay.DueQuery
}

type moment struct {
	rows  int               // in the batch
	costs map[string][]cost // by plan_cache_mode
}

var moments = []string{"start", "middle", "end"}

// start runs a relay until the test ends.
func (s *strain) start() {
	metrics, err := relay.NewMetrics(noop.Meter{})
	require.NoError(s.t, err)
	cfg := relay.DefaultConfig()
	cfg.Instance = "strained"
	cfg.Topics = []relay.Topic{{Name: "orders", Type: relay.TypeTransaction, Delivery: relay.ExactlyOnce, OnDead: relay.OnDeadBlock}}
	cfg.Lease, cfg.Renew = 30*time.Second, time.Second
	r, err := relay.New(cfg, relay.Options{
		Store: s, Broker: &s.broker, Log: slog.New(slog.DiscardHandler), Metrics: metrics, Progress: func() {},
	})
	require.NoError(s.t, err)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	s.t.Cleanup(func() {
		stop()
		require.NoError(s.t, <-done)
	})
}

// fill commits the backlog in one transaction.
func (s *strain) fill() {
	s.o.exec(`INSERT INTO outbox (topic, tag, headers, ordering_key, payload)
		SELECT 'orders', 'paid', '{"a": "b"}', CASE WHEN n % 4 = 0 THEN 'customer ' || n % 9973 END, convert_to(repeat('x', 288), 'UTF8')
		  FROM generate_series(1, $1::int) n`, s.rows)
}

// drained waits until no row that can be seen is left, and every attempt is closed.
func (s *strain) drained() {
	s.t.Helper()
	last, since := -1, time.Now()
	for {
		left := query1[int](s.o, `SELECT (SELECT count(*) FROM (SELECT FROM outbox LIMIT 1000) o)::int
			+ (SELECT count(*) FROM outbox_attempt WHERE closed_at IS NULL)::int`)
		if left == 0 {
			return
		}
		if moved := left + s.count(); moved != last {
			last, since = moved, time.Now()
		}
		require.Less(s.t, time.Since(since), time.Minute, "nothing moves")
		<-time.After(20 * time.Millisecond)
	}
}

func (s *strain) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.read
}

// passed waits until reads start behind an id.
func (s *strain) passed(id int64) {
	s.t.Helper()
	require.Eventually(s.t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.after >= id
	}, time.Minute, 10*time.Millisecond)
}

func (s *strain) ReadFresh(ctx context.Context, q relay.FreshQuery) ([]relay.Row, bool, error) {
	started := time.Now()
	rows, complete, err := s.Store.ReadFresh(ctx, q)
	took := time.Since(started)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.after = q.After
	if err == nil && complete && len(rows) > 0 && s.read < s.rows {
		s.reads = append(s.reads, took.Seconds()*1000)
		s.read += len(rows)
		if at := len(s.moments); at == 0 || at == 1 && s.read > s.rows/2 || at == 2 && s.read > s.rows-1000 {
			s.moments = append(s.moments, s.explain(q, rows))
		}
	}
	return rows, complete, err
}

func (s *strain) ReadDue(ctx context.Context, q relay.DueQuery) ([]relay.Row, error) {
	s.mu.Lock()
	s.due = q
	s.mu.Unlock()
	return s.Store.ReadDue(ctx, q)
}

func (s *strain) Write(
	ctx context.Context, session uuid.UUID, closings []relay.Closing, decisions []*relay.Attempt,
) (relay.Written, error) {
	started := time.Now()
	w, err := s.Store.Write(ctx, session, closings, decisions)
	took := time.Since(started) // before the lock, which is held while the statements are explained
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes = append(s.writes, took.Seconds()*1000)
	return w, err
}

// hot is how many of the calls below are made all the time: with every batch, or several times a second.
const hot = 8

// calls are the statements with the arguments that the relay has for them now.
func (s *strain) calls(q relay.FreshQuery, rows []relay.Row) []call {
	ids, shards := idsOf(rows), make([]string, len(rows))
	for i := range rows {
		shards[i] = strconv.Itoa(int(rows[i].Shard))
	}
	ones := `'{` + strings.TrimSuffix(strings.Repeat("1,", len(rows)), ",") + `}'`
	me := `'` + query1[string](s.o, `SELECT session::text FROM outbox_lease`) + `'`
	attempt := `'\x0102030405060708090a0b0c0d0e'`
	fresh := fmt.Sprintf(`-1, '{orders}', %s, %d, %d, %s, 9223372036854775807`, array(q.Exclude), q.Limit, q.Bytes, array(q.Guard))
	return []call{
		{"read fresh", fmt.Sprintf(`%d, %s`, q.After, fresh), ""},
		{"read due", fmt.Sprintf(`-1, '{orders}', %s, %d, %d`, array(s.due.Exclude), q.Limit, q.Bytes), ""},
		{"allocated", "", ""},
		{"writers", `'` + strings.ReplaceAll(quote(schema), "'", "''") + `.outbox'`, ""},
		{"decide", attempt + `, ` + me + `, -1, 'b', 'a', now(), 10, '{orders}', '{0}', '{0}', ` + array(ids) + `, ` + ones +
			`, NULL, '{` + strings.Join(shards, ",") + `}', ` + ones + `, ` + ones + `, NULL, NULL, 'half'`, ""},
		{"settle", attempt + `, ` + me, ""},
		{"delete all", attempt, ""},
		{"renew", me + `, 30000000`, ""},
		// The rest comes every few seconds or less often.
		{"bury expired", me, ""},
		{"standing", "", ""},
		{"purge", `0, 100`, ""},
		{"pending", `100000, NULL`, ""},
		{"put off rows", `100000`, ""},
		{"in doubt", "", ""},
		{"open attempts", `-1`, ""},
		{"blocked keys", `-1`, ""},
		{"read fresh", `0, ` + fresh, "read fresh from 0"},
	}
}

func (s *strain) explain(q relay.FreshQuery, rows []relay.Row) moment {
	m := moment{rows: len(rows), costs: make(map[string][]cost)}
	for _, mode := range []string{"force_custom_plan", "force_generic_plan"} {
		calls := s.calls(q, rows)
		m.costs[mode] = append(s.o.measure(mode, calls[:hot]...), s.o.measure(mode, calls[hot:]...)...) // the relay waits for the locks of the first
	}
	return m
}

// flat compares the moments, and prints them.
func (s *strain) flat(name string) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	require.Len(s.t, s.moments, len(moments))
	var table strings.Builder
	fmt.Fprintf(&table, "%s, %s, %d rows. Read of a batch: median %.1f ms, longest %.1f. Write: median %.1f ms, longest %.1f.\n",
		query1[string](s.o, `SHOW server_version`), name, s.rows, quantile(s.reads, .5), quantile(s.reads, 1), quantile(s.writes, .5), quantile(s.writes, 1))
	calls := s.calls(relay.FreshQuery{}, nil)
	for i, c := range calls {
		fmt.Fprintf(&table, "| %s |", max(c.name, c.statement))
		for at := range moments {
			cost := s.moments[at].costs["force_generic_plan"][i]
			fmt.Fprintf(&table, " %d | %.2f |", cost.buffers, cost.took.Seconds()*1000)
		}
		table.WriteString("\n")
	}
	s.t.Log(table.String())
	for mode, start := range s.moments[0].costs {
		for i := range hot {
			for at := 1; at < len(moments); at++ {
				now := s.moments[at].costs[mode][i]
				most := 100 + 2*start[i].buffers*max(1, s.moments[at].rows/s.moments[0].rows)
				require.LessOrEqual(s.t, now.buffers, most, "%s, at the %s, %s:\n%s\nat the start:\n%s",
					calls[i].statement, moments[at], mode, now.plan, start[i].plan)
			}
		}
	}
}

func quantile(ms []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(ms))
	if len(sorted) == 0 {
		return 0
	}
	return sorted[int(q*float64(len(sorted)-1))]
}

// sizesStay fills and drains once more: what has been vacuumed is used again, and no file grows.
func (s *strain) sizesStay() {
	s.t.Helper()
	tidy := func() (outbox, ledger int64) {
		for n := 1; n > 0; {
			var err error
			n, err = s.Purge(s.t.Context(), 0, 1000)
			require.NoError(s.t, err)
		}
		outbox, ledger = s.o.size("outbox"), s.o.size("outbox_attempt")
		s.o.vacuum()
		return outbox, ledger
	}
	outbox, ledger := tidy()
	s.fill()
	s.drained()
	outbox2, ledger2 := tidy()
	s.t.Logf("after one drain and two: outbox %d and %d MB, ledger %d and %d kB", outbox>>20, outbox2>>20, ledger>>10, ledger2>>10)
	require.Less(s.t, float64(outbox2), 1.05*float64(outbox)+1<<20)
	require.Less(s.t, float64(ledger2), 1.3*float64(ledger)+1<<20)
}
