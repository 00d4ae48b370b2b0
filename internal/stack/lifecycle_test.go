package stack

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/child"
)

// newPostgres starts a server for one test.
func newPostgres(t *testing.T, opts Options) *Postgres {
	t.Helper()
	p, err := StartPostgres(t.Context(), opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	return p
}

func newBroker(t *testing.T, opts Options) (*NameServer, *Broker) {
	t.Helper()
	ns, err := StartNameServer(t.Context(), opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, ns.Close()) })
	b, err := StartBroker(t.Context(), ns, opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	return ns, b
}

func query(t *testing.T, p *Postgres, sql string) (answer string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, p.URL("postgres"))
	if err != nil {
		return "", err
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // The answer is what counts.
	err = conn.QueryRow(ctx, sql).Scan(&answer)
	return answer, err
}

func TestPostgresKeepsItsDataAndPort(t *testing.T) {
	t.Parallel()
	p := newPostgres(t, Options{PostgresConfig: map[string]string{"application_name": "it's ours"}})
	addr := p.Addr
	_, err := query(t, p, "WITH w AS (SELECT 1) SELECT 'x' FROM w")
	require.NoError(t, err)
	conn, err := pgx.Connect(t.Context(), p.URL("postgres"))
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), "CREATE TABLE kept AS SELECT 'still there' AS word")
	require.NoError(t, err)

	for name, again := range map[string]func() error{
		"kill":    func() error { return p.Kill() },
		"stop":    func() error { return p.Stop(t.Context()) },
		"restart": func() error { return p.Restart(t.Context()) },
	} {
		before := p.PID()
		family := append(child.Of(before), before)
		require.NoError(t, again(), name)
		for _, pid := range family {
			require.False(t, child.Alive(pid), "%s: process %d is left", name, pid)
		}
		if name != "restart" {
			require.Zero(t, p.PID(), name)
			_, err := query(t, p, "SELECT word FROM kept")
			require.ErrorContains(t, err, "refused", name)
			require.NoError(t, p.Start(t.Context()), name)
		}
		require.Equal(t, addr, p.Addr)
		word, err := query(t, p, "SELECT word FROM kept")
		require.NoError(t, err, name)
		require.Equal(t, "still there", word, name)
	}
	_ = conn.Close(t.Context())

	requireLoopbackOnly(t, addr)
	name, err := query(t, p, "SELECT boot_val FROM pg_settings WHERE name = 'fsync' AND setting = 'on'")
	require.NoError(t, err)
	require.Equal(t, "on", name)
	require.ErrorContains(t, p.Start(t.Context()), "running already")
}

func TestPausedPostgresAnswersNobody(t *testing.T) {
	t.Parallel()
	p := newPostgres(t, Options{})
	conn, err := pgx.Connect(t.Context(), p.URL("postgres"))
	require.NoError(t, err)
	defer conn.Close(context.Background()) //nolint:errcheck // The end of the test.
	require.NoError(t, p.Pause())
	answered := make(chan error, 1)
	go func() {
		_, err := conn.Exec(t.Context(), "SELECT 1")
		answered <- err
	}()
	select {
	case err := <-answered:
		t.Fatalf("a backend of a paused server answered: %v", err)
	case <-time.After(200 * time.Millisecond):
	}
	require.NoError(t, p.Resume())
	require.NoError(t, <-answered)
}

func TestBrokerKeepsItsTopicsAndPort(t *testing.T) {
	t.Parallel()
	ns, b := newBroker(t, Options{BrokerName: "broker-kept", BrokerConfig: FastTransactions()})
	require.NoError(t, b.CreateTopic(t.Context(), "kept", 2, "TRANSACTION"))
	config, err := call(t.Context(), b.Addr, getBrokerConfig, nil)
	require.NoError(t, err)
	require.Contains(t, string(config), "transactionTimeOut=1000\n")
	require.Contains(t, string(config), "flushDiskType=SYNC_FLUSH\n")

	require.ErrorIs(t, b.Start(t.Context()), errRunning)
	before := b.PID()
	require.NoError(t, b.Kill())
	require.False(t, child.Alive(before))
	_, err = call(t.Context(), b.Addr, getBrokerConfig, nil)
	require.ErrorContains(t, err, "refused")
	require.NoError(t, b.Start(t.Context()))
	route, err := call(t.Context(), ns.Addr, getRouteByTopic, map[string]string{"topic": "kept"})
	require.NoError(t, err)
	require.Contains(t, string(route), b.Addr)

	require.NoError(t, b.Pause())
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err = call(ctx, b.Addr, getBrokerConfig, nil)
	require.ErrorContains(t, err, "timeout", "the kernel accepts, nobody answers")
	require.NoError(t, b.Resume())
	_, err = call(t.Context(), b.Addr, getBrokerConfig, nil)
	require.NoError(t, err)
}

func TestNameServerComesBackWithItsBrokers(t *testing.T) {
	t.Parallel()
	ns, b := newBroker(t, Options{BrokerName: "broker-back"})
	require.NoError(t, ns.Kill())
	require.NoError(t, ns.Start(t.Context()))
	// The broker registers every 30 s (RocketMQ 5.3 BrokerConfig.registerNameServerPeriod),
	// unless it is told to at once; creating a topic does.
	require.NoError(t, b.CreateTopic(t.Context(), "after", 1, ""))
}

func TestCloseLeavesNoFiles(t *testing.T) {
	t.Parallel()
	dir := passableDir(t)
	p, err := StartPostgres(t.Context(), Options{Dir: dir})
	require.NoError(t, err)
	require.NoError(t, p.Close())
	require.NoError(t, p.Close(), "once more does nothing")
	require.ErrorContains(t, p.Start(t.Context()), "closed")
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestServerThatCannotStartSaysWhyAndLeavesNothing(t *testing.T) {
	t.Parallel()
	dir := passableDir(t)
	_, err := StartPostgres(t.Context(), Options{Dir: dir, PostgresConfig: map[string]string{"max_connections": "many"}})
	require.ErrorContains(t, err, `invalid value for parameter "max_connections": "many"`)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}

// TestNothingOutlivesAKilledStarter starts servers from another process and
// kills that with SIGKILL: it cannot clean up.
func TestNothingOutlivesAKilledStarter(t *testing.T) {
	t.Parallel()
	if err := checkPrerequisites(Options{}); err != nil {
		t.Skipf("this is about native servers: %v", err)
	}
	dir := passableDir(t)
	starter, pids := playOther(t, "servers", "STACK_TEST_DIR="+dir)
	require.GreaterOrEqual(t, len(pids), 3)
	for _, pid := range pids {
		require.True(t, child.Alive(pid), pid)
	}
	require.NoError(t, starter.Process.Signal(syscall.SIGKILL))
	for _, pid := range pids {
		require.Eventually(t, func() bool { return !child.Alive(pid) }, 20*time.Second, 5*time.Millisecond, "process %d is left", pid)
	}
	_ = starter.Wait()

	orphans, err := filepath.Glob(filepath.Join(dir, workDirPrefix+"*"))
	require.NoError(t, err)
	require.Len(t, orphans, 6, "three folders and their locks")
	mine, err := newWorkDir(dir, "next")
	require.NoError(t, err)
	left, err := filepath.Glob(filepath.Join(dir, workDirPrefix+"*"))
	require.NoError(t, err)
	require.ElementsMatch(t, []string{mine.path, mine.path + ".lock"}, left)
	require.NoError(t, mine.remove())
}

// playOther starts this test program as another process and reads the numbers
// that it prints first.
func playOther(t *testing.T, part string, env ...string) (*exec.Cmd, []int) {
	t.Helper()
	cmd := exec.Command(os.Args[0]) //nolint:noctx // It ends with its standard input, or is killed.
	cmd.Env = append(append(os.Environ(), "STACK_TEST_PLAY="+part), env...)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	var numbers []int
	for _, field := range strings.Fields(line) {
		number, err := strconv.Atoi(field)
		require.NoError(t, err)
		numbers = append(numbers, number)
	}
	return cmd, numbers
}

// playLines starts this test program as another process and returns the lines
// that it prints.
func playLines(t *testing.T, part string, env ...string) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(append(os.Environ(), "STACK_TEST_PLAY="+part), env...)
	cmd.Stderr = os.Stderr
	output, err := cmd.Output()
	require.NoError(t, err)
	return strings.Split(strings.TrimSpace(string(output)), "\n")
}

// passableDir is a temporary folder that PostgreSQL's user may enter, which
// testing's own may not be.
func passableDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "stack-test-") //nolint:usetesting // Its folders are private to the user.
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o755))
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
