package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/outbox-relay/outbox-relay/internal/child"
)

// A relay is the real relay, as a process.
type relay struct {
	process *child.Process
	log     string
	started time.Time
	address string // of metrics, once it is known
}

// startRelay starts a relay of the place; it need not be ready yet.
func (p *place) startRelay(number int) (*relay, error) {
	w := p.bench
	r := &relay{log: filepath.Join(w.cfg.Dir, fmt.Sprintf("%s-%d.log", p.schema, number))}
	log, err := os.OpenFile(r.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the relay's log: %w", err)
	}
	defer log.Close()                       //nolint:errcheck // The process has its own copy.
	cmd := exec.Command(w.cfg.Relay, "run") //nolint:noctx // It is stopped when we want it to be.
	cmd.Env = slices.Concat(w.environ(), p.relaySettings(number))
	cmd.Stdout, cmd.Stderr = log, log
	r.started = time.Now()
	r.process, err = child.Start(cmd)
	return r, err
}

func (p *place) relaySettings(number int) []string {
	w := p.bench
	topic := p.topic
	if p.kind.name != "transaction" {
		topic += ":" + p.kind.name
	}
	env := []string{
		"OUTBOX_RELAY_DATABASE_URL=" + w.cfg.Servers.Postgres,
		"OUTBOX_RELAY_DATABASE_SCHEMA=" + p.schema,
		"OUTBOX_RELAY_NAMESERVERS=" + w.cfg.Servers.NameServer,
		"OUTBOX_RELAY_TOPICS=" + topic,
		"OUTBOX_RELAY_GROUP=" + p.topic,
		fmt.Sprintf("OUTBOX_RELAY_INSTANCE=bench-%d", number),
		"OUTBOX_RELAY_HTTP_LISTEN=127.0.0.1:0",
	}
	if w.cfg.Profile {
		env = append(env, "OUTBOX_RELAY_HTTP_PPROF=true")
	}
	for _, setting := range w.cfg.RelaySettings {
		key, value, _ := strings.Cut(setting, "=")
		env = append(env, "OUTBOX_RELAY_"+strings.ToUpper(strings.ReplaceAll(key, ".", "_"))+"="+value)
	}
	return env
}

// environ is what the relay's program gets beside what a case sets.
func (w *Bench) environ() []string {
	if w.cfg.Environ != nil {
		return w.cfg.Environ
	}
	return cleanEnviron()
}

// cleanEnviron is the environment without what would configure a relay.
func cleanEnviron() []string {
	var environ []string
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "OUTBOX_") {
			environ = append(environ, variable)
		}
	}
	return environ
}

func (r *relay) pid() int { return r.process.PID() }

// awaitReady waits until the relay has its database, its topics and its session.
func (r *relay) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute, errors.New("the relay was not ready after a minute"))
	defer cancel()
	for !r.ready(ctx) {
		if err := r.alive(); err != nil {
			return err
		}
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return fmt.Errorf("%w%s", err, r.tail())
		}
	}
	return nil
}

// alive is nil while the process runs.
func (r *relay) alive() error {
	if !r.process.Ended() {
		return nil
	}
	return fmt.Errorf("the relay ended: %w%s", errors.Join(r.process.Err(), errors.New("its log ends with")), r.tail())
}

// tail is the end of its log.
func (r *relay) tail() string {
	text, err := os.ReadFile(r.log)
	if err != nil {
		return ": " + err.Error()
	}
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return "\n" + string(bytes.Join(lines[max(0, len(lines)-5):], []byte("\n")))
}

func (r *relay) ready(ctx context.Context) bool {
	body, err := r.get(ctx, "/readyz")
	return err == nil && bytes.Contains(body, []byte(`"ready":true`))
}

// get asks the relay's HTTP server.
func (r *relay) get(ctx context.Context, path string) ([]byte, error) {
	if r.address == "" {
		if r.address = servingAt(r.log); r.address == "" {
			return nil, errors.New("the relay does not serve HTTP yet")
		}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.address+path, nil)
	if err != nil {
		return nil, err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask the relay for %s: %w", path, err)
	}
	defer response.Body.Close() //nolint:errcheck // It is read to its end.
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("ask the relay for %s: %s: %s", path, response.Status, body)
	}
	return body, err
}

// servingAt finds in a relay's log which port it chose.
func servingAt(log string) string {
	text, err := os.ReadFile(log)
	if err != nil {
		return ""
	}
	for line := range bytes.Lines(text) {
		var entry struct {
			Msg     string `json:"msg"`
			Address string `json:"address"`
		}
		if json.Unmarshal(line, &entry) == nil && entry.Msg == "serving metrics and health" {
			return entry.Address
		}
	}
	return ""
}

// stopPatience is longer than the relay's shutdown.grace.
const stopPatience = 40 * time.Second

// stop ends the relay as an operator would; it must do so in good order.
func (r *relay) stop() error {
	if err := r.alive(); err != nil {
		return err
	}
	if err := r.process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-r.process.Done():
		if err := r.process.Err(); err != nil {
			return fmt.Errorf("the relay ended on SIGTERM: %w%s", err, r.tail())
		}
		return os.Remove(r.log)
	case <-time.After(stopPatience):
		return errors.Join(fmt.Errorf("the relay did not end within %s of SIGTERM", stopPatience), r.process.Kill())
	}
}

// fleet starts n relays, waits until they are ready, and returns what stops them all.
func (p *place) fleet(ctx context.Context, n int) ([]*relay, func() error, error) {
	relays, stop, err := p.launch(n)
	for _, r := range relays {
		if err == nil {
			err = r.awaitReady(ctx)
		}
	}
	return relays, stop, err
}

// launch starts n relays; they need not be ready yet.
func (p *place) launch(n int) ([]*relay, func() error, error) {
	var relays []*relay
	stop := func() error {
		var errs []error
		for _, r := range relays {
			errs = append(errs, r.stop())
		}
		relays = nil
		return errors.Join(errs...)
	}
	for number := range n {
		r, err := p.startRelay(number)
		if err != nil {
			return relays, stop, err
		}
		relays = append(relays, r)
	}
	return relays, stop, nil
}
