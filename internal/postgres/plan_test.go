package postgres_test

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// The plans of the hot statements, on the sizes and the statistics that they meet: an outbox of 200,000 rows that was never
// analyzed, one that was, and one that was analyzed full and is empty again. Each is looked at as planned for its
// parameters and as planned once for any.
func TestPlans(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	o.exec(`ALTER TABLE outbox SET (autovacuum_enabled = off)`)
	o.exec(`ALTER TABLE outbox_attempt SET (autovacuum_enabled = off)`)
	session := o.session("a", all)

	check := func(when string, most int) {
		t.Helper()
		for _, mode := range []string{"force_custom_plan", "force_generic_plan"} {
			for _, p := range plans(session.String()) {
				cost := o.measure(mode, call{p.statement, p.args, ""})[0]
				plan := cost.plan
				where := fmt.Sprintf("%s, %s, %s:\n%s", when, mode, p.statement, plan)
				require.NotContains(t, plan, "Seq Scan on outbox ", where)
				require.NotContains(t, plan, "Seq Scan on outbox_attempt", where)
				require.NotContains(t, plan, "Bitmap", where)
				for _, index := range p.indexes {
					require.Regexp(t, `Index (Only )?Scan( Backward)? using `+index+` `, plan, where)
				}
				require.LessOrEqual(t, strings.Count(plan, "Sort Key"), p.sorts, where)
				if p.batch {
					require.LessOrEqual(t, cost.buffers, most, where)
				}
			}
		}
	}
	check("empty", batchBuffers)
	o.exec(`INSERT INTO outbox (topic, ordering_key, payload, available_at) SELECT 'orders', CASE WHEN n % 2 = 0 THEN 'key ' || n % 999 END,
		convert_to(repeat('x', 200), 'UTF8'), CASE WHEN n % 500 = 0 THEN now() END FROM generate_series(1, 200000) n`)
	o.exec(`INSERT INTO outbox_attempt (id, session, shards, broker, address, born_at, window_s, topics, queues, read_from, ids, targets,
		shard, half_offsets, log_offsets, closed_at)
		SELECT decode(lpad(to_hex(n), 28, '0'), 'hex'), gen_random_uuid(), -1, 'b', 'a', now(), 10, '{orders}', '{0}', '{0}', '{1}', '{1}', '{1}',
		'{1}', '{1}', CASE WHEN n > 20 THEN now() - n * interval '1 min' END FROM generate_series(1, 20000) n`)
	check("never analyzed", batchBuffers)
	o.exec(`ANALYZE`)
	check("analyzed", batchBuffers)
	o.exec(`DELETE FROM outbox WHERE id > 100`)
	check("settled", math.MaxInt) // a read from far back steps over what was sent
	o.exec(`VACUUM`)
	o.exec(`ANALYZE`)
	check("vacuumed and analyzed", batchBuffers)
	o.exec(`INSERT INTO outbox (topic, payload) SELECT 'orders', 'x' FROM generate_series(1, 200000) n`)
	check("analyzed empty, full again", batchBuffers)
}

// A planCase is a statement, its arguments as SQL, the indexes it must use and how often it may sort.
type planCase struct {
	statement string
	args      string
	indexes   []string
	sorts     int
	batch     bool // handles one batch, and touches no more than that
}

// batchBuffers is what a statement may touch that handles a batch of 500 rows: some for each row, for its index entry and itself,
// and as many again for what it leaves out.
const batchBuffers = 10 * 500

func plans(session string) []planCase {
	numbers := make([]string, 500)
	for i := range numbers {
		numbers[i] = strconv.Itoa(i + 1)
	}
	ids, me := `'{`+strings.Join(numbers, ",")+`}'`, "'"+session+"'"
	each := func(text string) string {
		return `'{` + strings.TrimSuffix(strings.Repeat(text+",", len(numbers)), ",") + `}'`
	}
	return []planCase{
		{"read fresh", `100000, -1, '{orders}', ` + ids + `, 500, 4000000, '{}', 9223372036854775807`, []string{"outbox_pkey"}, 0, true},
		{"read fresh", `0, -1, '{orders}', '{}', 500, 4000000, '{}', 9223372036854775807`, []string{"outbox_pkey"}, 0, true},
		{"read due", `-1, '{orders}', ` + ids + `, 500, 4000000`, []string{"outbox_retry"}, 0, true},
		{"settle", `'\x00', ` + me, []string{"outbox_attempt_pkey"}, 0, true},
		{"delete all", `'\x00'`, []string{"outbox_pkey", "outbox_attempt_pkey"}, 0, true},
		{
			"decide", `'\x00', ` + me + `, -1, 'b', 'a', now(), 10, '{t}', '{1}', '{1}', ` + ids + `, '{1}', NULL, '{1}', '{1}', '{1}', NULL, NULL, 'half'`,
			[]string{"outbox_pkey"},
			0,
			true,
		},
		{"delete rows", ids, []string{"outbox_pkey"}, 0, true},
		{"put off", me + `, ` + ids + `, ` + each("1") + `, ` + each("e") + `, ` + each("1"), []string{"outbox_pkey"}, 0, true},
		{"bury", me + `, ` + ids + `, ` + each("r") + `, ` + each("e") + `, ` + each("s") + `, ` + each("b") + `, ` + each("1"), []string{"outbox_pkey"}, 0, true},
		{"open attempts", `-1`, []string{"outbox_attempt_open"}, 1, false},
		{"blocked keys", `-1`, []string{"outbox_retry"}, 1, false},
		{"still there", ids, []string{"outbox_pkey", "outbox_dead_pkey"}, 1, false},
		{"purge", `604800000000, 100`, []string{"outbox_attempt_closed", "outbox_attempt_pkey"}, 0, true},
		{"pending", `10000, NULL`, []string{"outbox_pkey"}, 0, false},
		{"put off rows", `10000`, []string{"outbox_retry"}, 0, false},
		{"lock attempt", `'\x00'`, []string{"outbox_attempt_pkey"}, 0, true},
		{"move entries", `'\x00', '{1}', '{2}', false, ` + me, []string{"outbox_attempt_pkey"}, 0, true},
		{"note fence", `'{\\x00}', 'b:1'`, []string{"outbox_attempt_pkey"}, 1, true},
		{"renew", me + `, 60000000`, nil, 0, true},
		{"allocated", ``, nil, 0, true},
		{"dead", `10000`, []string{"outbox_dead_pkey"}, 0, false},
		{"in doubt", ``, []string{"outbox_attempt_open"}, 0, false},
		{"open by age", `'{1,60}'`, []string{"outbox_attempt_open"}, 1, false},
	}
}

// A settle touches the rows of its batch and no others, however many there are.
func TestSettleTouchesOnlyItsRows(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	session := o.session("a", all)
	ids := o.insert(100_000)
	a := o.decided(session, ids[50_000:50_500]...)
	tx, err := o.pool.Begin(t.Context())
	require.NoError(t, err)
	defer tx.Rollback(t.Context()) //nolint:errcheck // only looked at
	_, err = tx.Exec(t.Context(), o.Statements()["settle"], a.ID[:], session)
	require.NoError(t, err)
	statement := strings.Replace(o.Statements()["delete all"], "$1", fmt.Sprintf(`'\x%x'`, a.ID[:]), 1)
	rows, err := tx.Query(t.Context(), `EXPLAIN (ANALYZE, BUFFERS, COSTS off, TIMING off, SUMMARY off) `+statement, pgx.QueryExecModeSimpleProtocol)
	require.NoError(t, err)
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	var hit, read int
	for _, line := range lines { // the first is that of the whole statement
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "Buffers: shared ") {
			for _, part := range strings.Fields(line) {
				_, _ = fmt.Sscanf(part, "hit=%d", &hit)
				_, _ = fmt.Sscanf(part, "read=%d", &read)
			}
			break
		}
	}
	require.Positive(t, hit, lines)
	require.Less(t, hit+read, 5*500, lines)
}
