package docs_test

import (
	"context"
	"crypto/rand"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
	"github.com/outbox-relay/outbox-relay/migrations"
)

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close(context.Background())) })
	return conn
}

func exec(t *testing.T, db *pgx.Conn, sql string) {
	t.Helper()
	_, err := db.Exec(t.Context(), sql)
	require.NoError(t, err, sql)
}

// newRole makes a role without any right. Roles belong to the whole server, so each test has its own.
func newRole(t *testing.T, db *pgx.Conn) string {
	t.Helper()
	role := "role_" + strings.ToLower(rand.Text())
	exec(t, db, "CREATE ROLE "+role)
	t.Cleanup(func() {
		_, err := db.Exec(context.Background(), "RESET ROLE; DROP OWNED BY "+role+"; DROP ROLE "+role)
		require.NoError(t, err)
	})
	return role
}

// outbox is a migrated database with the two roles.
func outbox(t *testing.T) (db *pgx.Conn, app, relay string) {
	t.Helper()
	url := stacktest.Shared(t).Database(t)
	_, err := migrations.Up(t.Context(), url, "public")
	require.NoError(t, err)
	db = connect(t, url)
	app, relay = newRole(t, db), newRole(t, db)
	forApp, forRelay, err := migrations.Grants("public", app, relay)
	require.NoError(t, err)
	exec(t, db, forApp)
	exec(t, db, forRelay)
	return db, app, relay
}

// TestSQLRuns runs the SQL that people are shown, with the rights that they are told to have.
func TestSQLRuns(t *testing.T) {
	t.Parallel()
	header, _, _ := strings.Cut(read(t, "docker-compose.yml"), "\nname:")
	inHeader := regexp.MustCompile(`-c "([^"]+)"`).FindStringSubmatch(header)
	require.Len(t, inHeader, 2, "the header of docker-compose.yml inserts a row")
	for name, texts := range map[string][]string{
		"README.md":          blocks(read(t, "README.md"), "sql"),
		"docs/wire.md":       blocks(read(t, "docs/wire.md"), "sql"),
		"docker-compose.yml": inHeader[1:],
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, app, relay := outbox(t)
			inserted := 0
			for statement := range strings.SplitSeq(strings.Join(texts, ";\n"), ";\n") {
				verb, _, _ := strings.Cut(strings.TrimSpace(statement), " ")
				switch verb {
				case "":
				case "INSERT":
					exec(t, db, "SET ROLE "+app)
					exec(t, db, statement)
					exec(t, db, "RESET ROLE")
					inserted++
				case "SELECT":
					exec(t, db, "SET ROLE "+relay)
					exec(t, db, statement)
					exec(t, db, "RESET ROLE")
				default:
					t.Fatalf("nobody is told who may run %q", statement)
				}
			}
			var count int
			require.NoError(t, db.QueryRow(t.Context(), `SELECT count(*) FROM outbox WHERE topic = 'orders' AND length(payload) > 0`).Scan(&count))
			require.Equal(t, inserted, count)
			require.Positive(t, inserted)
		})
	}
}

// columns returns the names and types of a table or view.
func columns(t *testing.T, db *pgx.Conn, of string) map[string]string {
	t.Helper()
	rows, err := db.Query(t.Context(), `SELECT column_name::text, udt_name::text FROM information_schema.columns WHERE table_schema = 'public' AND table_name = $1`, of)
	require.NoError(t, err)
	all := map[string]string{}
	var name, kind string
	_, err = pgx.ForEachRow(rows, []any{&name, &kind}, func() error { all[name] = kind; return nil })
	require.NoError(t, err)
	return all
}

func TestColumnsAndTablesAreThoseOfTheDatabase(t *testing.T) {
	t.Parallel()
	db, _, _ := outbox(t)

	real := columns(t, db, "outbox")
	text := section(t, "docs/wire.md", "## The table that applications write")
	for _, row := range table(t, text) {
		name := strings.Trim(row[0], "`")
		require.Equal(t, real[name], row[1], name)
		delete(real, name)
	}
	others := regexp.MustCompile(`The other columns \(([^)]+)\)`).FindStringSubmatch(text)
	require.Len(t, others, 2)
	require.ElementsMatch(t, names(real), spans(others[1]), "the rest is the relay's")

	var documented []string
	for _, row := range table(t, section(t, "docs/wire.md", "## The relay's own tables")) {
		documented = append(documented, spans(row[0])...)
	}
	rows, err := db.Query(t.Context(), `SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE' AND table_name <> 'outbox'`)
	require.NoError(t, err)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.ElementsMatch(t, tables, documented)

	list := regexp.MustCompile(`(?s)has one row per confirmed message: (.+?)\. `).FindStringSubmatch(section(t, "docs/wire.md", "### Where is event X?"))
	require.Len(t, list, 2)
	require.ElementsMatch(t, names(columns(t, db, "outbox_sent")), spans(list[1]))
}

func names(of map[string]string) []string {
	var all []string
	for name := range of {
		all = append(all, name)
	}
	return all
}
