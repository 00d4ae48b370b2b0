package chaos

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/outbox-relay/outbox-relay/internal/child"
)

// buildRelay builds the real relay, with the switches for killing it at a point and for a wrong clock.
func buildRelay(ctx context.Context, dir string) (string, error) {
	binary := filepath.Join(dir, "outbox-relay")
	cmd := exec.CommandContext(ctx, "go", "build", "-tags", "chaos", "-o", binary, "github.com/outbox-relay/outbox-relay/cmd/outbox-relay")
	if output, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the relay: %w: %s", err, output)
	}
	return binary, nil
}

// relay is one of the relays: a name, its settings, and the process while it runs. As an orchestrator would, it starts the
// process again when that ends by itself.
type relay struct {
	name   string
	binary string
	env    []string
	listen string // of /metrics
	log    string // the path of its log
	clock  string // the path of the file that says how wrong its clock is

	mu         sync.Mutex
	process    *child.Process // nil while it is not to run
	supervised bool
	exits      []string // how it ended by itself
	watchers   sync.WaitGroup
}

// launch is how one start differs from the usual.
type launch struct {
	// env is added.
	env []string
	// stderr takes the log instead of the file.
	stderr *os.File
	// mayDie leaves the process lying when it ends.
	mayDie bool
}

func newRelay(ctx context.Context, name, binary, dir string, env []string) (*relay, error) {
	listen, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	r := &relay{name: name, binary: binary, listen: listen, log: filepath.Join(dir, name+".log"), clock: filepath.Join(dir, name+".clock")}
	r.env = append(r.env, env...)
	r.env = append(r.env, "OUTBOX_RELAY_INSTANCE="+name, "OUTBOX_RELAY_HTTP_LISTEN="+listen, "CHAOS_CLOCK="+r.clock)
	return r, r.setClock(0)
}

func freeAddress(ctx context.Context) (string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close() //nolint:errcheck // Nobody has connected.
	return l.Addr().String(), nil
}

// setClock sets the relay's clock wrong. The file is replaced, so that the relay never reads half of it.
func (r *relay) setClock(offset time.Duration) error {
	if err := os.WriteFile(r.clock+".new", []byte(offset.String()), 0o600); err != nil {
		return fmt.Errorf("set the clock of %s: %w", r.name, err)
	}
	return os.Rename(r.clock+".new", r.clock)
}

func (r *relay) start(l launch) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.process != nil && !r.process.Ended() {
		return fmt.Errorf("start %s: it runs already", r.name)
	}
	stderr := l.stderr
	if stderr == nil {
		log, err := os.OpenFile(r.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return fmt.Errorf("open the log of %s: %w", r.name, err)
		}
		defer log.Close() //nolint:errcheck // The process has its own copy.
		stderr = log
	}
	cmd := exec.Command(r.binary, "run") //nolint:noctx // It is killed when we want it to be.
	cmd.Env = append(append(cleanEnviron(), r.env...), l.env...)
	cmd.Stdout, cmd.Stderr = stderr, stderr
	p, err := child.Start(cmd)
	if err != nil {
		return err
	}
	r.process, r.supervised = p, !l.mayDie
	if r.supervised {
		r.watchers.Go(func() { r.supervise(p) })
	}
	return nil
}

// cleanEnviron is the environment without what would configure a relay.
func cleanEnviron() []string {
	var environ []string
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "OUTBOX_") && !strings.HasPrefix(variable, "CHAOS_") {
			environ = append(environ, variable)
		}
	}
	return environ
}

// restartPause is what an orchestrator waits before it starts a container again.
const restartPause = 500 * time.Millisecond

func (r *relay) supervise(p *child.Process) {
	<-p.Done()
	r.mu.Lock()
	again := r.process == p && r.supervised
	if again {
		r.exits = append(r.exits, fmt.Sprintf("%s ended by itself: %v", r.name, p.Err()))
	}
	r.mu.Unlock()
	if !again {
		return
	}
	time.Sleep(restartPause)
	r.mu.Lock()
	again = r.process == p && r.supervised
	r.mu.Unlock()
	if again {
		if err := r.start(launch{}); err != nil {
			r.mu.Lock()
			r.exits = append(r.exits, err.Error())
			r.mu.Unlock()
		}
	}
}

// take returns the process and makes the relay one that is not to run.
func (r *relay) take() *child.Process {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.process
	r.process = nil
	return p
}

func (r *relay) current() *child.Process {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.process
}

func (r *relay) running() bool {
	p := r.current()
	return p != nil && !p.Ended()
}

// command runs another command of the relay's program, with its settings.
func (r *relay) command(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, r.binary, args...)
	cmd.Env = append(cleanEnviron(), r.env...)
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("run outbox-relay %s: %w: %s", strings.Join(args, " "), err, output)
	}
	return nil
}

// kill ends the relay as a crash would.
func (r *relay) kill() error {
	if p := r.take(); p != nil {
		return p.Kill()
	}
	return nil
}

// stopPatience is longer than the relay's shutdown.grace.
const stopPatience = 40 * time.Second

// stop ends the relay as an operator would; one that does not end in time is an error.
func (r *relay) stop(ctx context.Context) error {
	p := r.take()
	if p == nil {
		return nil
	}
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	timer := time.NewTimer(stopPatience)
	defer timer.Stop()
	select {
	case <-p.Done():
		return nil // What it could not finish in time is finished by the next.
	case <-timer.C:
		return errors.Join(fmt.Errorf("%w: %s did not end within %s of SIGTERM", errStalled, r.name, stopPatience), p.Kill())
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (r *relay) signal(s syscall.Signal) error {
	if p := r.current(); p != nil {
		return p.Signal(s)
	}
	return nil
}

// close ends the relay and returns when nobody watches it any more.
func (r *relay) close() error {
	err := r.kill()
	r.watchers.Wait()
	return err
}

// ownExits says how it ended by itself.
func (r *relay) ownExits() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.exits...)
}

// metric returns the value of a metric, the sum over its labels; 0 if the relay does not serve it.
func (r *relay) metric(ctx context.Context, name string) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.listen+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return 0, fmt.Errorf("read the metrics of %s: %w", r.name, err)
	}
	defer response.Body.Close() //nolint:errcheck // It is read to its end.
	value := 0.0
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		if got, number, ok := strings.Cut(lines.Text(), " "); ok && (got == name || strings.HasPrefix(got, name+"{")) {
			one, err := strconv.ParseFloat(number, 64)
			if err != nil {
				return 0, fmt.Errorf("metric %s of %s: %w", name, r.name, err)
			}
			value += one
		}
	}
	return value, nil
}

const (
	metricBroken = "outbox_relay_broken_promises_total" // must stay 0
	metricDoubt  = "outbox_relay_in_doubt_messages"
	metricShards = "outbox_relay_shards"
)
