package main

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/stack"
	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
	"github.com/outbox-relay/outbox-relay/migrations"

	"github.com/outbox-relay/outbox-relay/examples/halfmessages"
)

func TestMain(m *testing.M) { os.Exit(stacktest.M{M: m}.Run()) }

const patience = 90 * time.Second

// TestShop is the service's life: orders, one of which breaks a rule of the database; killed with SIGKILL while one is under way;
// started again. What is in the database is on the topic, and nothing else.
func TestShop(t *testing.T) {
	t.Parallel()
	servers := stacktest.Shared(t)
	url, topic := servers.Database(t), servers.Topic(t, 4)
	_, err := migrations.Up(t.Context(), url, "public")
	require.NoError(t, err)
	db, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close(context.Background())) })
	_, err = db.Exec(t.Context(), halfmessages.Schema)
	require.NoError(t, err)

	binary := filepath.Join(t.TempDir(), "shop")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", binary, ".").CombinedOutput()
	require.NoError(t, err, string(out))
	group := servers.Group(t)
	start := func(orders ...string) (*exec.Cmd, *bufio.Scanner) {
		cmd := exec.CommandContext(t.Context(), binary, orders...)
		cmd.Env = append(os.Environ(), "SHOP_DATABASE="+url, "SHOP_NAMESERVER="+servers.NameServer(), "SHOP_GROUP="+group, "SHOP_TOPIC="+topic)
		cmd.Stderr = os.Stderr
		lines, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		return cmd, bufio.NewScanner(lines)
	}
	says := func(lines *bufio.Scanner, want string) {
		require.True(t, lines.Scan(), want)
		require.Contains(t, lines.Text(), want)
	}

	// Order C waits for this lock: the service is killed while its transaction runs.
	tx, err := db.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `INSERT INTO orders VALUES ('C', 1)`)
	require.NoError(t, err)
	shop, lines := start("A=100", "B=-5", "C=300")
	says(lines, "placed A")
	says(lines, "place order B")
	require.Eventually(t, func() bool {
		var waiting bool
		return tx.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')`).
			Scan(&waiting) == nil && waiting
	}, patience, 20*time.Millisecond)
	require.NoError(t, shop.Process.Signal(syscall.SIGKILL))
	require.ErrorContains(t, shop.Wait(), "killed")
	require.NoError(t, tx.Rollback(t.Context()))

	shop, lines = start("D=400")
	says(lines, "placed D")
	require.Eventually(t, func() bool {
		messages, err := stack.ReadTopic(t.Context(), servers.NameServer(), topic)
		keys := map[string]bool{}
		for _, m := range messages {
			keys[m.Keys] = true
		}
		return err == nil && keys["A"] && keys["D"] && len(keys) == 2
	}, patience, 50*time.Millisecond)
	require.NoError(t, shop.Process.Signal(syscall.SIGTERM))
	require.NoError(t, shop.Wait())

	rows, err := db.Query(t.Context(), `SELECT id FROM orders ORDER BY id`)
	require.NoError(t, err)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Equal(t, []string{"A", "D"}, ids)
}

func TestShopWithoutSettings(t *testing.T) {
	t.Parallel()
	require.ErrorContains(t, run(t.Context(), nil, os.Stdout), "database: must be set", "the environment says nothing")
}
