package stack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"
)

// ErrNoPgBouncer means that PgBouncer is not installed.
var ErrNoPgBouncer = errors.New("PgBouncer is not installed (on Debian: apt-get install pgbouncer)")

// PgBouncer is a running pooler in front of a PostgreSQL.
type PgBouncer struct {
	*Server
}

// StartPgBouncer starts a pooler in front of the server that a URL of ours names, for its user. mode is session, transaction or
// statement; settings are lines of its configuration. It is always a native process.
func StartPgBouncer(ctx context.Context, server, mode string, settings map[string]string, opts Options) (*PgBouncer, error) {
	program, err := findPgBouncer()
	if err != nil {
		return nil, err
	}
	to, err := url.Parse(server)
	if err != nil {
		return nil, fmt.Errorf("parse the URL of PostgreSQL: %w", err)
	}
	account, err := serverAccount() // it refuses to run as root
	if err != nil {
		return nil, err
	}
	dir, err := newWorkDir(opts.Dir, "pgbouncer")
	if err != nil {
		return nil, err
	}
	ports, err := reservePorts()
	if err != nil {
		_ = dir.remove()
		return nil, err
	}
	run := &native{dir: dir, ports: ports, logPath: dir.join("pgbouncer.log"), quit: syscall.SIGTERM}
	config := dir.join("pgbouncer.ini")
	if err := writePgBouncer(config, dir.join("users.txt"), to, ports.first, mode, settings); err != nil {
		_ = run.close()
		return nil, err
	}
	run.command = func() *exec.Cmd {
		cmd := exec.Command(program, config) //nolint:noctx // It outlives the caller's context.
		cmd.Dir = "/"
		runAs(cmd, account)
		return cmd
	}
	b := &PgBouncer{&Server{
		Addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(ports.first)), name: "PgBouncer", runner: run, logger: opts.logger(),
	}}
	b.ready = func(ctx context.Context) error {
		conn, err := pgx.Connect(ctx, b.URL(server))
		if err != nil {
			return err
		}
		return conn.Close(ctx)
	}
	if err := b.startNew(ctx); err != nil {
		return nil, err
	}
	return b, nil
}

func findPgBouncer() (string, error) {
	for _, name := range []string{"pgbouncer", "/usr/sbin/pgbouncer"} {
		if found, err := exec.LookPath(name); err == nil {
			return found, nil
		}
	}
	return "", ErrNoPgBouncer
}

func writePgBouncer(config, users string, to *url.URL, port int, mode string, settings map[string]string) error {
	lines := []string{
		"[databases]", fmt.Sprintf("* = host=%s port=%s", to.Hostname(), to.Port()),
		"[pgbouncer]", "listen_addr = 127.0.0.1", fmt.Sprintf("listen_port = %d", port), "unix_socket_dir =",
		"auth_type = trust", "auth_file = " + users, "pool_mode = " + mode,
	}
	for name, value := range settings {
		lines = append(lines, name+" = "+value)
	}
	if err := os.WriteFile(users, []byte(`"`+to.User.Username()+"\" \"\"\n"), 0o644); err != nil {
		return fmt.Errorf("write the users of PgBouncer: %w", err)
	}
	if err := os.WriteFile(config, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		return fmt.Errorf("write the configuration of PgBouncer: %w", err)
	}
	return nil
}

// URL leads to the database of a PostgreSQL's URL through the pooler.
func (b *PgBouncer) URL(direct string) string {
	u, err := url.Parse(direct)
	if err != nil {
		return direct
	}
	u.Host = b.Addr
	return u.String()
}
