package stack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"
)

// standbyName is what a standby calls itself, and what its primary waits for.
const standbyName = "standby"

// StartStandby starts a streaming replica of a native primary and returns when the
// primary waits for it: from then on a COMMIT under synchronous_commit=on is not
// answered before the standby has it on disk, and waits for ever while the standby
// is away. The options are those of the primary, which has at most one standby.
//
// For a fail-over kill the primary, promote the standby, and never start the
// primary again: it does not know that it was replaced.
func StartStandby(ctx context.Context, primary *Postgres, opts Options) (*Postgres, error) {
	if _, ok := primary.runner.(*native); !ok {
		return nil, errors.New("start a standby: the primary is in a container: choose EngineNative")
	}
	server, err := nativeStandby(ctx, primary, opts)
	if err != nil {
		return nil, fmt.Errorf("start a standby: %w", err)
	}
	standby := &Postgres{Server: server}
	server.ready = standby.ping
	if err := server.startNew(ctx); err != nil {
		return nil, err
	}
	if err := primary.waitFor(ctx, standbyName); err != nil {
		return nil, errors.Join(err, standby.Close())
	}
	return standby, nil
}

func nativeStandby(ctx context.Context, primary *Postgres, opts Options) (*Server, error) {
	account, err := serverAccount()
	if err != nil {
		return nil, err
	}
	bin, err := postgresBinaries(ctx, opts, account)
	if err != nil {
		return nil, err
	}
	// The published binaries come without it.
	backup := filepath.Join(bin, "pg_basebackup")
	if !exists(backup) {
		return nil, &MissingError{What: []Prerequisite{Replica}, Native: true}
	}
	host, port, err := net.SplitHostPort(primary.Addr)
	if err != nil {
		return nil, fmt.Errorf("address of the primary: %w", err)
	}
	server, err := postgresOn(bin, account, opts, func(data string, own int) error {
		cmd := exec.CommandContext(ctx, backup, "--pgdata", data, "--host", host, "--port", port, "--username", superuser,
			"--write-recovery-conf", "--wal-method", "stream", "--checkpoint", "fast", "--no-sync", "--no-password")
		cmd.Dir = data
		runAs(cmd, account)
		if output, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("run pg_basebackup: %w: %s", err, lastLines(string(output), 5))
		}
		return addSettings(data, map[string]string{
			"port":         fmt.Sprint(own),
			"cluster_name": standbyName, // By which the primary knows the standby.
		})
	})
	if err != nil {
		return nil, err
	}
	server.name = "PostgreSQL standby"
	return server, nil
}

// waitFor makes commits wait for a standby, once it has caught up.
func (p *Postgres) waitFor(ctx context.Context, standby string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("the standby did not catch up within %s", startTimeout))
	defer cancel()
	conn, err := pgx.Connect(ctx, p.URL("postgres"))
	if err != nil {
		return fmt.Errorf("tell the primary of its standby: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // Every answer was read.
	for _, sql := range []string{
		"ALTER SYSTEM SET synchronous_standby_names = " + standby,
		"SELECT pg_reload_conf()",
	} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("tell the primary of its standby: %s: %w", sql, err)
		}
	}
	for {
		var inSync bool
		err := conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_stat_replication
			WHERE application_name = $1 AND state = 'streaming' AND sync_state = 'sync')`, standby).Scan(&inSync)
		if err != nil {
			return fmt.Errorf("wait for the standby to catch up: %w", err)
		}
		if inSync {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Promote makes a standby a primary of its own and returns when it takes writes.
// The one that it was a standby of must be gone.
func (p *Postgres) Promote(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, p.URL("postgres"))
	if err != nil {
		return fmt.Errorf("promote the standby: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // Every answer was read.
	var done bool
	if err := conn.QueryRow(ctx, "SELECT pg_promote(true, 120)").Scan(&done); err != nil {
		return fmt.Errorf("promote the standby: %w", err)
	}
	if !done {
		return errors.New("promote the standby: it did not become a primary within two minutes")
	}
	return nil
}
