package consumertest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/stack"
	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
)

func TestMain(m *testing.M) {
	code := stacktest.M{M: m}.Run()
	if err := os.RemoveAll(javaBuilt.dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

const patience = 4 * time.Minute // two Java clients start at once, on whatever machine this is

// build returns the command that starts a consumer.
type build func(t *testing.T) []string

// buildGo builds the one in Go as a user does. The race detector stays out: the official client's consumer races with itself.
func buildGo(t *testing.T) []string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "consumer-go")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", binary, "../consumer-go").CombinedOutput()
	require.NoError(t, err, string(out))
	return []string{binary}
}

// javaBuilt is the consumer in Java: Maven takes a while.
//
//nolint:gochecknoglobals // Once for all tests of the package.
var javaBuilt struct {
	sync.Once
	dir     string // removed at the end
	command []string
	err     error
}

func buildJava(t *testing.T) []string {
	t.Helper()
	javaBuilt.Do(func() {
		if javaBuilt.dir, javaBuilt.err = os.MkdirTemp("", "outbox-relay-consumer-"); javaBuilt.err != nil { //nolint:usetesting // It outlives this test.
			return
		}
		javaBuilt.command, javaBuilt.err = stack.BuildJava(context.Background(), "../consumer-java", javaBuilt.dir)
	})
	var missing *stack.MissingError
	if errors.As(javaBuilt.err, &missing) {
		t.Skip(javaBuilt.err)
	}
	require.NoError(t, javaBuilt.err)
	return append(slices.Clone(javaBuilt.command), "-Xmx256m", "-Duser.home="+t.TempDir(), "example.Consumer")
}

// world is a topic, a database and a consumer group.
type world struct {
	*testing.T
	db                           *pgx.Conn
	url, nameServer, topic, name string
	sender                       sender
	tags                         string // that the consumers want; "" = all
}

func newWorld(t *testing.T, messageType string) *world {
	t.Helper()
	servers := stacktest.Shared(t)
	w := &world{
		T: t, url: servers.Database(t), nameServer: servers.NameServer(), topic: servers.TopicOf(t, 2, messageType), name: servers.Group(t),
	}
	var err error
	w.db, err = pgx.Connect(t.Context(), w.url)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.db.Close(context.Background())) })
	return w
}

// jdbc is the database's URL as Java writes it.
func (w *world) jdbc() string {
	w.Helper()
	u, err := url.Parse(w.url)
	require.NoError(w, err)
	return "jdbc:postgresql://" + u.Host + u.Path + "?user=" + u.User.Username()
}

// running is a consumer's process.
type running struct {
	w     *world
	cmd   *exec.Cmd
	ended chan struct{}

	mu    sync.Mutex
	lines []string
	errs  strings.Builder
}

func (w *world) start(command []string, args ...string) *running {
	w.Helper()
	command = append(command, args...)
	r := &running{w: w, cmd: exec.CommandContext(w.Context(), command[0], command[1:]...), ended: make(chan struct{})}
	r.cmd.Env = append(os.Environ(), "CONSUMER_DATABASE="+w.url, "CONSUMER_JDBC="+w.jdbc(), "CONSUMER_NAMESERVER="+w.nameServer,
		"CONSUMER_TOPIC="+w.topic, "CONSUMER_GROUP="+w.name, "CONSUMER_TAGS="+w.tags)
	r.cmd.Stderr = lockedWriter{r}
	out, err := r.cmd.StdoutPipe()
	require.NoError(w, err)
	require.NoError(w, r.cmd.Start())
	go func() {
		defer close(r.ended)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			r.mu.Lock()
			r.lines = append(r.lines, lines.Text())
			r.mu.Unlock()
		}
		_ = r.cmd.Wait() // The state holds the exit code.
	}()
	w.Cleanup(func() { // The context is over, and with it the process.
		<-r.ended
		if w.Failed() {
			w.Logf("%s\n%s", strings.Join(r.of(""), "\n"), r.errs.String())
		}
	})
	require.Eventually(w, func() bool { return len(r.of("ready")) == 1 }, patience, 20*time.Millisecond)
	return r
}

// lockedWriter collects the standard error.
type lockedWriter struct{ r *running }

func (w lockedWriter) Write(b []byte) (int, error) {
	w.r.mu.Lock()
	defer w.r.mu.Unlock()
	return w.r.errs.Write(b)
}

// of returns what follows a word in the lines that begin with it.
func (r *running) of(word string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []string
	for _, line := range r.lines {
		if rest, ok := strings.CutPrefix(line, word); ok {
			all = append(all, strings.TrimPrefix(rest, "\t"))
		}
	}
	return all
}

func (r *running) kill() {
	r.w.Helper()
	require.NoError(r.w, r.cmd.Process.Signal(syscall.SIGKILL))
	<-r.ended
}

// stop ends it as an operator does.
func (r *running) stop() {
	r.w.Helper()
	require.NoError(r.w, r.cmd.Process.Signal(syscall.SIGTERM))
	select {
	case <-r.ended:
	case <-time.After(patience):
		r.w.Fatal("it does not end on SIGTERM")
	}
}
