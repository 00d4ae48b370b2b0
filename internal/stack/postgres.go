package stack

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"
)

// Postgres is a running PostgreSQL that trusts everybody on this machine.
type Postgres struct {
	*Server
}

// superuser is the role that initdb makes.
const superuser = "postgres"

// StartPostgres starts an empty PostgreSQL that syncs to disk as in production.
func StartPostgres(ctx context.Context, opts Options) (*Postgres, error) {
	container, err := useContainers(ctx, opts, postgresImage(opts))
	if err != nil {
		return nil, err
	}
	var server *Server
	if container {
		server, err = containerPostgres(ctx, opts)
	} else {
		server, err = nativePostgres(ctx, opts)
	}
	if err != nil {
		return nil, err
	}
	p := &Postgres{Server: server}
	server.ready = p.ping
	if err := server.startNew(ctx); err != nil {
		return nil, err
	}
	return p, nil
}

// URL is the connection string of a database for the superuser. The database
// "postgres" exists.
func (p *Postgres) URL(database string) string {
	u := url.URL{
		Scheme: "postgres", User: url.User(superuser), Host: p.Addr, Path: "/" + database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

func (p *Postgres) ping(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, p.URL("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx) //nolint:errcheck // It answered, that is all we wanted.
	_, err = conn.Exec(ctx, "SELECT 1")
	return err
}

// postgresSettings are the same natively and in a container.
func postgresSettings(opts Options) map[string]string {
	return merged(map[string]string{
		"max_connections": "300", // Many test packages at once.
		"shared_buffers":  "64MB",
		"fsync":           "on",
	}, opts.PostgresConfig)
}

func nativePostgres(ctx context.Context, opts Options) (*Server, error) {
	account, err := serverAccount()
	if err != nil {
		return nil, err
	}
	bin, err := postgresBinaries(ctx, opts, account)
	if err != nil {
		return nil, err
	}
	return postgresOn(bin, account, opts, func(data string, port int) error {
		return initDatabase(ctx, bin, data, account, opts, port)
	})
}

// postgresOn prepares a server on a data folder that fill makes the content of.
func postgresOn(bin string, account *user.User, opts Options, fill func(data string, port int) error) (*Server, error) {
	dir, err := newWorkDir(opts.Dir, "postgres")
	if err != nil {
		return nil, err
	}
	ports, err := reservePorts()
	if err != nil {
		_ = dir.remove()
		return nil, err
	}
	run := &native{dir: dir, ports: ports, logPath: dir.join("postgres.log"), quit: syscall.SIGINT}
	data := dir.join("data")
	err = makeDataDir(data, account)
	if err == nil {
		err = fill(data, ports.first)
	}
	if err != nil {
		return nil, errors.Join(err, run.close())
	}
	run.command = func() *exec.Cmd {
		cmd := exec.Command(bin+"/postgres", "-D", data) //nolint:noctx // It outlives the caller's context.
		cmd.Dir = data
		runAs(cmd, account)
		return cmd
	}
	return &Server{
		Addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(ports.first)),
		name: "PostgreSQL", runner: run, logger: opts.logger(),
	}, nil
}

// makeDataDir makes an empty folder that the server may use.
func makeDataDir(data string, account *user.User) error {
	if err := os.Mkdir(data, 0o700); err != nil {
		return fmt.Errorf("make the data folder: %w", err)
	}
	if account == nil {
		return nil
	}
	if err := giveTo(data, account); err != nil {
		return err
	}
	return checkPassable(data, account)
}

// initDatabase fills the data folder. Nobody needs it to survive a power cut
// before the server has started, so initdb itself need not sync.
func initDatabase(ctx context.Context, bin, data string, account *user.User, opts Options, port int) error {
	cmd := exec.CommandContext(ctx, bin+"/initdb", "--pgdata", data, "--username", superuser,
		"--auth", "trust", "--encoding", "UTF8", "--no-locale", "--no-sync")
	cmd.Dir = data
	runAs(cmd, account)
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("run initdb: %w: %s", err, lastLines(string(output), 5))
	}
	return addSettings(data, merged(postgresSettings(opts), map[string]string{
		"listen_addresses":        "127.0.0.1",
		"port":                    strconv.Itoa(port),
		"unix_socket_directories": "",
	}))
}

// addSettings appends to postgresql.conf, where the last one counts.
func addSettings(data string, settings map[string]string) error {
	var conf strings.Builder
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		fmt.Fprintf(&conf, "%s = '%s'\n", name, strings.ReplaceAll(settings[name], "'", "''"))
	}
	// initdb included the file's owner; appending keeps it.
	file, err := os.OpenFile(data+"/postgresql.conf", os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("open postgresql.conf: %w", err)
	}
	if _, err := file.WriteString(conf.String()); err != nil {
		_ = file.Close()
		return fmt.Errorf("write postgresql.conf: %w", err)
	}
	return file.Close()
}
