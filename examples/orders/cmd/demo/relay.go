package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/outbox-relay/outbox-relay/internal/child"
)

// relay is the real relay, as a process.
type relay struct {
	binary  string
	env     []string
	health  string // the URL of its readiness
	logPath string
	process *child.Process // nil while it does not run
}

// buildRelay builds the relay into dir and returns the binary's path.
func buildRelay(ctx context.Context, dir string) (string, error) {
	binary := filepath.Join(dir, "outbox-relay")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", binary, "github.com/outbox-relay/outbox-relay/cmd/outbox-relay")
	if output, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the relay: %w%s", err, indented(output))
	}
	return binary, nil
}

// indented returns what a program said, on lines of its own; "" if it said nothing.
func indented(output []byte) string {
	output = bytes.TrimSpace(output)
	if len(output) == 0 {
		return ""
	}
	return "\n  " + string(bytes.ReplaceAll(output, []byte("\n"), []byte("\n  ")))
}

// newRelay configures a relay by its environment alone: a database, name servers and topics are all that it needs.
func newRelay(ctx context.Context, binary, dir string, s *servers) (*relay, error) {
	listen, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	return &relay{
		binary: binary,
		env: append(os.Environ(),
			"OUTBOX_RELAY_DATABASE_URL="+s.databaseURL,
			"OUTBOX_RELAY_NAMESERVERS="+s.nameServer,
			"OUTBOX_RELAY_TOPICS="+s.topic,
			"OUTBOX_RELAY_GROUP="+s.topic, // the servers may be shared: a group of its own
			"OUTBOX_RELAY_INSTANCE=demo",
			"OUTBOX_RELAY_HTTP_LISTEN="+listen,
		),
		health:  "http://" + listen + "/readyz",
		logPath: filepath.Join(dir, "relay.log"),
	}, nil
}

func freeAddress(ctx context.Context) (string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close() //nolint:errcheck // Nobody has connected.
	return l.Addr().String(), nil
}

// migrate applies the migration.
func (r *relay) migrate(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, r.binary, "migrate", "up")
	cmd.Env = r.env
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("outbox-relay migrate up: %w%s", err, indented(output))
	}
	return nil
}

// start starts the relay; it need not be ready yet.
func (r *relay) start() error {
	log, err := os.OpenFile(r.logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open the relay's log: %w", err)
	}
	defer log.Close()                    //nolint:errcheck // The process has its own copy.
	cmd := exec.Command(r.binary, "run") //nolint:noctx // It is killed when we want it to be.
	cmd.Env, cmd.Stdout, cmd.Stderr = r.env, log, log
	r.process, err = child.Start(cmd)
	return err
}

// awaitReady waits until the relay has its database, its topics and its session.
func (r *relay) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute, errors.New("the relay was not ready after a minute"))
	defer cancel()
	for !r.ready(ctx) {
		select {
		case <-r.process.Done():
			return fmt.Errorf("the relay ended: %w", errors.Join(r.process.Err(), errors.New("see its log above")))
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(50 * time.Millisecond):
		}
	}
	return nil
}

func (r *relay) ready(ctx context.Context) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.health, nil)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	defer response.Body.Close() //nolint:errcheck // Only the status matters.
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode == http.StatusOK
}

// kill ends the relay as a crash would.
func (r *relay) kill() error {
	if r.process == nil {
		return nil
	}
	err := r.process.Kill()
	r.process = nil
	return err
}

// stop asks the relay to end, as an operator would, and expects exit status 0.
func (r *relay) stop(ctx context.Context) error {
	if err := r.process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, 40*time.Second, errors.New("not after 40 s"))
	defer cancel()
	select {
	case <-r.process.Done():
		err := r.process.Err()
		r.process = nil
		if err != nil {
			return fmt.Errorf("the relay ended on SIGTERM: %w", err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("end the relay by SIGTERM: %w", context.Cause(ctx))
	}
}

// printLog prints the last lines of the relay's log.
func (r *relay) printLog(out *console) {
	log, err := os.ReadFile(r.logPath)
	if err != nil || len(log) == 0 {
		return
	}
	lines := bytes.Split(bytes.TrimSpace(log), []byte("\n"))
	out.printf("the last lines of the relay's log:\n")
	for _, line := range lines[max(0, len(lines)-15):] {
		out.printf("  %s\n", line)
	}
}
