package docs_test

import (
	"encoding/json"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
	"github.com/outbox-relay/outbox-relay/migrations"
)

// caller places an order with the function that the README shows.
const caller = `package main

import (
	"context"
	"os"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/outbox-relay/outbox-relay/docs/shop"
)

func main() {
	ctx := context.Background()
	db, err := pgxpool.New(ctx, os.Args[1])
	if err != nil {
		panic(err)
	}
	defer db.Close()
	if err := shop.PlaceOrder(ctx, db, "order-1", "ada", []byte("one pot of tea")); err != nil {
		panic(err)
	}
}
`

// TestServiceInTheReadmeRuns compiles the Go code of the README as a package of this module, and calls it.
func TestServiceInTheReadmeRuns(t *testing.T) {
	t.Parallel()
	shown := blocks(read(t, "README.md"), "go")
	require.Len(t, shown, 1, "this test knows one")
	require.LessOrEqual(t, strings.Count(shown[0], "\n"), 25, "the README promises that it is short")

	url := stacktest.Shared(t).Database(t)
	_, err := migrations.Up(t.Context(), url, "public")
	require.NoError(t, err)
	db := connect(t, url)
	exec(t, db, `CREATE TABLE orders (id text PRIMARY KEY, customer text NOT NULL)`)

	out, err := osexec.CommandContext(t.Context(), "go", "run", "-overlay", overlay(t, shown[0]), "./shop/try", url).CombinedOutput()
	require.NoError(t, err, string(out))

	var orders int
	require.NoError(t, db.QueryRow(t.Context(), `SELECT count(*) FROM orders WHERE id = 'order-1' AND customer = 'ada'`).Scan(&orders))
	require.Equal(t, 1, orders)
	var topic, orderingKey, dedupKey, payload string
	require.NoError(t, db.QueryRow(t.Context(), `SELECT topic, ordering_key, dedup_key, convert_from(payload, 'UTF8') FROM outbox`).
		Scan(&topic, &orderingKey, &dedupKey, &payload))
	require.Equal(t, []string{"orders", "ada", "order-1", "one pot of tea"}, []string{topic, orderingKey, dedupKey, payload})
}

// overlay lays the code over the module, so that it is compiled with what the module has and nothing is written into it.
func overlay(t *testing.T, code string) string {
	t.Helper()
	module, err := filepath.Abs(root)
	require.NoError(t, err)
	dir := t.TempDir()
	replace := map[string]string{}
	for name, content := range map[string]string{"docs/shop/shop.go": code, "docs/shop/try/main.go": caller} {
		file := filepath.Join(dir, filepath.Base(name))
		require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
		replace[filepath.Join(module, name)] = file
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	require.NoError(t, err)
	file := filepath.Join(dir, "overlay.json")
	require.NoError(t, os.WriteFile(file, text, 0o600))
	return file
}
