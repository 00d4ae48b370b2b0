package docs_test

import (
	"os"
	osexec "os/exec"
	"regexp"
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

// patience is for what takes a second on a machine that does nothing else.
const patience = 40 * time.Second

// reader does what the README tells to do.
type reader struct {
	t              *testing.T
	program        string
	servers        *stacktest.Servers
	url, app       string
	db             *pgx.Conn
	shown, topics  []string // the topics in the README, and those that stand for them
	environ, typed []string
	relay          *process
}

// runIt types the block "Run it" of the README, line by line, with the addresses of the servers of these tests.
func runIt(t *testing.T, program string) {
	servers := stacktest.Shared(t)
	r := &reader{t: t, program: program, servers: servers, url: servers.Database(t)}
	r.db = connect(t, r.url)
	r.app = newRole(t, r.db)
	typed := blocks(section(t, "README.md", "## Run it"), "sh")
	require.Len(t, typed, 1)
	for line := range strings.Lines(typed[0]) {
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		switch {
		case len(words) == 0:
		case words[0] == "export":
			r.export(words[1])
		case words[0] == "outbox-relay":
			r.typed = append(r.typed, strings.Join(words[1:], " "))
			r.run(words[1:])
		default:
			t.Fatalf("nobody knows how to type %q", line)
		}
	}
	require.Equal(t, []string{"config check", "migrate up", "grants", "run", "status"}, r.typed)

	r.everyProperty()
	start := time.Now()
	require.NoError(t, r.relay.cmd.Process.Signal(syscall.SIGTERM))
	require.Zero(t, r.relay.code(), "a stop in good order")
	require.Less(t, time.Since(start), 25*time.Second, "shutdown.grace")
}

// export replaces the addresses. A setting that has no replacement here is one more than the README promises to be enough.
func (r *reader) export(pair string) {
	r.t.Helper()
	name, value, _ := strings.Cut(pair, "=")
	switch name {
	case "OUTBOX_RELAY_DATABASE_URL":
		value = r.url
	case "OUTBOX_RELAY_NAMESERVERS":
		value = r.servers.NameServer()
	case "OUTBOX_RELAY_TOPICS":
		r.shown = strings.Split(value, ",")
		for range r.shown {
			r.topics = append(r.topics, r.servers.Topic(r.t, 4))
		}
		value = strings.Join(r.topics, ",")
	default:
		r.t.Fatalf("%s is a fourth setting", name)
	}
	r.environ = append(r.environ, name+"="+value)
}

func (r *reader) run(args []string) {
	r.t.Helper()
	if args[0] == "run" {
		r.start()
		return
	}
	p := begin(r.t, r.program, r.environ, args...)
	require.Zero(r.t, p.code(), "%s: %s", args, p.stderr.String())
	out := p.stdout.String()
	switch args[0] {
	case "grants":
		out = strings.ReplaceAll(out, `"app"`, r.app)
		exec(r.t, r.db, strings.ReplaceAll(out, `"outbox_relay"`, newRole(r.t, r.db)))
	case "status":
		for _, word := range []string{"pending", "oldest", "open", "dead", "64 of 64 shards"} {
			require.Contains(r.t, out, word)
		}
	default:
		require.NotEmpty(r.t, out)
	}
}

// start leaves the relay running. Two settings keep it out of the way of other relays on this machine and this broker.
func (r *reader) start() {
	r.t.Helper()
	environ := append([]string{"OUTBOX_RELAY_HTTP_LISTEN=127.0.0.1:0", "OUTBOX_RELAY_GROUP=" + r.servers.Group(r.t)}, r.environ...)
	r.relay = begin(r.t, r.program, environ, "run")
	require.Eventually(r.t, func() bool {
		return regexp.MustCompile(`"ready":true`).MatchString(r.relay.stderr.String())
	}, patience, 20*time.Millisecond)

	insert := blocks(section(r.t, "README.md", "## Use it in your service"), "sql")
	require.Len(r.t, insert, 1)
	require.Contains(r.t, insert[0], "'"+r.shown[0]+"'", "the row goes to one of the topics")
	messages := r.publish(strings.ReplaceAll(insert[0], "'"+r.shown[0]+"'", "'"+r.topics[0]+"'"), r.topics[0])
	require.JSONEq(r.t, `{"order": 1}`, string(messages.Body))
}

// publish inserts one row as the application, waits until it has left the outbox, and returns what lies on its topic.
func (r *reader) publish(insert, topic string) stack.Message {
	r.t.Helper()
	exec(r.t, r.db, "SET ROLE "+r.app)
	exec(r.t, r.db, insert)
	exec(r.t, r.db, "RESET ROLE")
	require.Eventually(r.t, func() bool {
		left := -1
		return r.db.QueryRow(r.t.Context(), `SELECT count(*) FROM outbox`).Scan(&left) == nil && left == 0
	}, patience, 20*time.Millisecond)
	messages, err := stack.ReadTopic(r.t.Context(), r.servers.NameServer(), topic)
	require.NoError(r.t, err)
	require.Len(r.t, messages, 1)
	return messages[0]
}

// everyProperty publishes a row with a value in every column that makes a property, and looks for those in docs/wire.md.
func (r *reader) everyProperty() {
	r.t.Helper()
	topic := r.topics[1]
	message := r.publish(`INSERT INTO outbox (topic, tag, keys, ordering_key, dedup_key, headers, payload)
		VALUES ('`+topic+`', 'tea', 'k1 k2', 'ada', 'order-1', '{"color": "red"}', 'x')`, topic)
	text := section(r.t, "docs/wire.md", "## The message")
	var documented []string
	for _, row := range table(r.t, text) {
		documented = append(documented, spans(row[0])...)
	}
	adds := regexp.MustCompile(`(?m)^RocketMQ adds (.+)$`).FindStringSubmatch(text)
	require.Len(r.t, adds, 2)
	documented = append(documented, spans(adds[1])...)
	require.Greater(r.t, len(documented), 10)
	for _, name := range documented {
		require.Contains(r.t, message.Properties, name)
	}
	require.Equal(r.t, "order-1 k1 k2", message.Properties["KEYS"])
	require.Equal(r.t, "order-1", message.Properties["outbox-dedup-key"])
	require.Equal(r.t, "red", message.Properties["color"])
	require.Regexp(r.t, `^[0-9A-F]{32}$`, message.Properties["UNIQ_KEY"])
	require.Equal(r.t, "tea", message.Tag)
}

// process is the program, started.
type process struct {
	t              *testing.T
	cmd            *osexec.Cmd
	stdout, stderr output
	ended          chan struct{}
}

func begin(t *testing.T, program string, environ []string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: osexec.CommandContext(t.Context(), program, args...), ended: make(chan struct{})}
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, environ...)
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	require.NoError(t, p.cmd.Start())
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // The state holds the exit code.
	}()
	t.Cleanup(func() { // The context is over, and with it the process.
		<-p.ended
		if t.Failed() {
			t.Logf("outbox-relay %s\n%s%s", strings.Join(args, " "), p.stdout.String(), p.stderr.String())
		}
	})
	return p
}

// code waits for the end and returns the exit code.
func (p *process) code() int {
	p.t.Helper()
	select {
	case <-p.ended:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		p.t.Fatal("it does not end")
		return -1
	}
}

type output struct {
	mu   sync.Mutex
	text strings.Builder
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
