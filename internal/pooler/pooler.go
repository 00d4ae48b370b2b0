// Package pooler finds out whether a connection to PostgreSQL goes through a pooler that gives its statements to changing
// server sessions, such as PgBouncer with pool_mode=transaction. Neither settings of the session, nor prepared statements, nor
// advisory locks survive there, and the relay's promise rests on the first: without its own synchronous_commit=on, PostgreSQL
// may forget what it has confirmed.
package pooler

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
)

// ErrTransaction means that statements of one connection run in several server sessions. Waiting does not mend it.
var ErrTransaction = errors.New("the database is behind a pooler that shares server sessions between transactions " +
	"(pool_mode=transaction or statement): settings of a session and prepared statements are lost there. Connect to PostgreSQL itself, " +
	"or to a pool with pool_mode=session")

// probeTimeout bounds what the pooler may take to serve a second connection.
const probeTimeout = 5 * time.Second

// Check returns ErrTransaction if conn is such a connection. It must be called before anything is set on the session, which
// might be another client's next. Without a pooler it costs one round trip.
func Check(ctx context.Context, conn *pgx.Conn) error {
	first, err := backend(ctx, conn)
	if err != nil {
		return err
	}
	// A server announces its process id when a connection begins; a pooler announces a number of its own.
	if first == int64(conn.PgConn().PID()) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	return probe(ctx, conn, first)
}

// probe lets a second connection hold a transaction. If the server session of the first goes to it, or if the first gets
// another meanwhile or afterwards, sessions are shared. A pooler that gives out what was used last is caught by the first, one
// that goes round by the others.
func probe(ctx context.Context, conn *pgx.Conn, first int64) error {
	other, err := pgx.ConnectConfig(ctx, conn.Config())
	if err != nil {
		return fmt.Errorf("make a second connection through the pooler: %w", err)
	}
	defer other.Close(context.WithoutCancel(ctx)) //nolint:errcheck // nothing was written on it
	if err := run(ctx, other, "BEGIN"); err != nil {
		return fmt.Errorf("begin a transaction on a second connection through the pooler, which needs a pool_size above the relay's connections: %w", err)
	}
	theirs, err := backend(ctx, other)
	if err != nil {
		return err
	}
	if theirs == first {
		return ErrTransaction
	}
	for i := range 4 {
		if i == 1 {
			if err := run(ctx, other, "ROLLBACK"); err != nil {
				return fmt.Errorf("end the transaction on the second connection: %w", err)
			}
		}
		mine, err := backend(ctx, conn)
		if err != nil {
			return err
		}
		if mine != first {
			return ErrTransaction
		}
	}
	return nil
}

// backend asks for the process id of the server session, in the simple protocol: it needs no prepared statement.
func backend(ctx context.Context, conn *pgx.Conn) (int64, error) {
	results, err := conn.PgConn().Exec(ctx, "SELECT pg_backend_pid()").ReadAll()
	if err != nil {
		return 0, fmt.Errorf("ask which server session this is: %w", err)
	}
	pid, err := strconv.ParseInt(string(results[0].Rows[0][0]), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("ask which server session this is: %w", err)
	}
	return pid, nil
}

func run(ctx context.Context, conn *pgx.Conn, sql string) error {
	_, err := conn.PgConn().Exec(ctx, sql).ReadAll()
	return err
}
