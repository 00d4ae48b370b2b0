package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/outbox-relay/outbox-relay/internal/config"
	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
	"github.com/outbox-relay/outbox-relay/internal/telemetry"
	"github.com/outbox-relay/outbox-relay/migrations"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(stacktest.M{M: m}) }

// patience is for what takes a second on a machine that does nothing else.
const (
	patience = 40 * time.Second
	tick     = 20 * time.Millisecond
)

// world is an outbox and a topic on the shared servers.
type world struct {
	t          *testing.T
	url        string
	nameServer string
	topic      string
	group      string
	opening    sync.Once
	pool       *pgxpool.Pool
}

func newWorld(t *testing.T) *world {
	t.Helper()
	servers := stacktest.Shared(t)
	w := &world{t: t, url: servers.Database(t), nameServer: servers.NameServer(), topic: servers.Topic(t, 4), group: servers.Group(t)}
	_, err := migrations.Up(t.Context(), w.url, "public")
	require.NoError(t, err)
	return w
}

// config makes settings with short times; change are lines of YAML.
func (w *world) config(change ...string) *config.Config {
	w.t.Helper()
	lines := append([]string{
		fmt.Sprintf("database: {url: %q}", w.url), fmt.Sprintf("nameservers: [%q]", w.nameServer), fmt.Sprintf("topics: [%q]", w.topic),
		fmt.Sprintf("group: %q", w.group), "http: {listen: '127.0.0.1:0'}", "lease: {duration: 3s, renew: 500ms}",
	}, change...)
	settings := map[string]string{}
	for _, line := range lines { // the last of a key holds
		key, _, _ := strings.Cut(line, ":")
		settings[key] = line
	}
	var text strings.Builder
	for _, line := range settings {
		text.WriteString(line + "\n")
	}
	file := filepath.Join(w.t.TempDir(), "relay.yaml")
	require.NoError(w.t, os.WriteFile(file, []byte(text.String()), 0o600))
	cfg, err := config.Load(config.Input{File: file}, config.NeedAll)
	require.NoError(w.t, err)
	return cfg
}

func (w *world) db() *pgxpool.Pool {
	w.t.Helper()
	w.opening.Do(func() {
		pool, err := pgxpool.New(w.t.Context(), w.url)
		require.NoError(w.t, err)
		w.t.Cleanup(pool.Close)
		w.pool = pool
	})
	return w.pool
}

func (w *world) insert(n int) {
	w.t.Helper()
	_, err := w.db().Exec(w.t.Context(), `INSERT INTO outbox (topic, payload) SELECT $1, 'x' FROM generate_series(1, $2)`, w.topic, n)
	require.NoError(w.t, err)
}

func (w *world) count(table string) (n int) {
	w.t.Helper()
	require.NoError(w.t, w.db().QueryRow(w.t.Context(), `SELECT count(*) FROM `+table).Scan(&n))
	return n
}

// process is one run of the app inside the test.
type process struct {
	t    *testing.T
	url  string // of /metrics and so on
	log  *lines
	stop context.CancelFunc
	done chan error
}

func start(t *testing.T, cfg *config.Config, change ...func(*Process)) *process {
	t.Helper()
	p := &process{t: t, log: &lines{}, done: make(chan error, 1)}
	ctx, stop := context.WithCancel(context.Background())
	p.stop = stop
	serving := make(chan string, 1)
	process := Process{
		Version: "v0-test", Log: telemetry.NewLogger(p.log, slog.LevelDebug, "json"),
		Serving: func(address string) { serving <- "http://" + address },
	}
	for _, c := range change {
		c(&process)
	}
	go func() {
		p.done <- Run(ctx, cfg, process)
		close(p.done)
	}()
	t.Cleanup(func() {
		stop()
		if err := <-p.done; err != nil { // nil once it was read before
			t.Logf("it ended with: %v", err)
		}
		if t.Failed() {
			t.Log(p.log.String())
		}
	})
	select {
	case p.url = <-serving:
	case err := <-p.done:
		t.Fatalf("it ended before it served anything: %v", err)
	}
	return p
}

// get returns the status code and body of a path; 0 if nothing answers.
func (p *process) get(path string) (int, string) {
	request, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, p.url+path, nil)
	if err != nil {
		return 0, err.Error()
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	body, err := io.ReadAll(response.Body)
	if closeErr := response.Body.Close(); err != nil || closeErr != nil {
		return 0, "cut"
	}
	return response.StatusCode, string(body)
}

func (p *process) ready() bool {
	code, _ := p.get("/readyz")
	return code == http.StatusOK
}

// waitsFor reports whether it is alive and not ready, because of this condition.
func (p *process) waitsFor(condition string) bool {
	alive, _ := p.get("/healthz")
	code, body := p.get("/readyz")
	var answer struct{ Conditions []telemetry.Condition }
	if alive != http.StatusOK || code != http.StatusServiceUnavailable || json.Unmarshal([]byte(body), &answer) != nil {
		return false
	}
	for _, c := range answer.Conditions {
		if c.Name == condition {
			return !c.OK && c.Reason != "not yet"
		}
	}
	return false
}

func (p *process) eventually(what string, ok func() bool) {
	p.t.Helper()
	require.Eventually(p.t, ok, patience, 20*time.Millisecond, what)
}

// end stops it in good order.
func (p *process) end() error {
	p.stop()
	select {
	case err := <-p.done:
		return err
	case <-time.After(patience):
		p.t.Fatal("it did not stop")
		return nil
	}
}

// lines collects log lines.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// with returns the lines that hold all of texts.
func (l *lines) with(texts ...string) (found []string) {
	for line := range strings.Lines(l.String()) {
		all := true
		for _, text := range texts {
			all = all && strings.Contains(line, text)
		}
		if all {
			found = append(found, line)
		}
	}
	return found
}

// as returns the URL of the world's database for another role.
func (w *world) as(role string) string {
	w.t.Helper()
	u, err := url.Parse(w.url)
	require.NoError(w.t, err)
	u.User = url.UserPassword(role, "hunter2")
	return u.String()
}
