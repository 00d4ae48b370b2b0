package postgres_test

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
)

// A cost is what running a statement once came to.
type cost struct {
	plan    string
	buffers int // of shared memory, touched
	rows    int
	took    time.Duration
}

// A call is a statement with its arguments as SQL. name is for people, where it is not the statement's.
type call struct{ statement, args, name string }

// measure runs statements as a session of the relay's pool does, in one transaction that is rolled back, and returns what each
// came to: what the ones before have written is there for those that follow.
func (o *outbox) measure(mode string, calls ...call) []cost {
	o.t.Helper()
	ctx := o.t.Context()
	conn, err := o.pool.Acquire(ctx)
	require.NoError(o.t, err)
	defer conn.Release()
	run := func(sql string) {
		_, err := conn.Exec(ctx, sql)
		require.NoError(o.t, err, sql)
	}
	run(`SET plan_cache_mode = ` + mode)
	defer run(`RESET plan_cache_mode`)
	run(`BEGIN`)
	defer run(`ROLLBACK`)
	costs := make([]cost, len(calls))
	for i, c := range calls {
		run(`PREPARE p AS ` + o.Statements()[c.statement])
		execute := `EXPLAIN (ANALYZE, BUFFERS, COSTS off, TIMING off) EXECUTE p`
		if c.args != "" {
			execute += `(` + c.args + `)`
		}
		rows, err := conn.Query(ctx, execute, pgx.QueryExecModeSimpleProtocol)
		require.NoError(o.t, err, "%s, %s", mode, c.statement)
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(o.t, err, "%s, %s", mode, c.statement)
		costs[i] = readCost(lines)
		run(`DEALLOCATE p`)
	}
	return costs
}

// readCost reads EXPLAIN's text. The first node is that of the whole statement.
func readCost(lines []string) cost {
	c := cost{plan: strings.Join(lines, "\n"), buffers: -1}
	if _, after, ok := strings.Cut(lines[0], "actual rows="); ok {
		_, _ = fmt.Sscanf(after, "%d", &c.rows)
	}
	for _, line := range lines {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "Planning") {
			break
		}
		if strings.HasPrefix(line, "Buffers: shared ") && c.buffers < 0 {
			c.buffers = 0
			for _, part := range strings.Fields(line) {
				for _, kind := range []string{"hit=", "read="} {
					if text, ok := strings.CutPrefix(part, kind); ok {
						n, _ := strconv.Atoi(strings.TrimSuffix(text, ","))
						c.buffers += n
					}
				}
			}
		}
	}
	c.buffers = max(c.buffers, 0)
	if _, after, ok := strings.Cut(c.plan, "Execution Time: "); ok {
		text, _, _ := strings.Cut(after, " ")
		ms, _ := strconv.ParseFloat(text, 64)
		c.took = time.Duration(ms * float64(time.Millisecond))
	}
	return c
}

// array writes numbers as SQL.
func array(ids []int64) string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = strconv.FormatInt(id, 10)
	}
	return `'{` + strings.Join(texts, ",") + `}'`
}

// size returns the bytes of a table's file, of its indexes' and of its TOAST.
func (o *outbox) size(table string) int64 {
	o.t.Helper()
	return query1[int64](o, `SELECT pg_total_relation_size($1::text::regclass)`, table)
}

// vacuum frees what is dead, whatever holds autovacuum off.
func (o *outbox) vacuum() {
	o.t.Helper()
	for _, table := range []string{"outbox", "outbox_attempt", "outbox_lease"} {
		_, err := o.admin.Exec(o.t.Context(), `VACUUM `+table)
		var pg *pgconn.PgError
		require.NotErrorAs(o.t, err, &pg)
		require.NoError(o.t, err)
	}
}
