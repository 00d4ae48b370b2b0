package outbox_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/outbox-relay/outbox-relay/internal/stack"
)

// databaseURL is an empty database on a real server, made for this run.
var databaseURL string

func TestMain(m *testing.M) { goleak.VerifyTestMain(withDatabase{m}) }

type withDatabase struct{ m *testing.M }

// Run runs the tests on the server that is there for all packages, or on one of its own.
func (w withDatabase) Run() int {
	ctx := context.Background()
	code, err := 1, error(nil)
	if shared, ok := stack.AddressesFromEnv(os.Getenv); ok {
		code, err = w.runOn(ctx, shared.Postgres)
	} else {
		var server *stack.Postgres
		if server, err = stack.StartPostgres(ctx, stack.Options{}); err == nil {
			code, err = w.runOn(ctx, server.URL("postgres"))
			_ = server.Close()
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

func (w withDatabase) runOn(ctx context.Context, server string) (code int, err error) {
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		return 1, fmt.Errorf("connect to PostgreSQL: %w", err)
	}
	defer func() { _ = conn.Close(ctx) }()
	name := "outbox_test_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+name); err != nil {
		return 1, fmt.Errorf("create a database: %w", err)
	}
	config, err := pgx.ParseConfig(server)
	if err != nil {
		return 1, fmt.Errorf("parse the server's URL: %w", err)
	}
	databaseURL = fmt.Sprintf("host=%s port=%d user=%s password=%s dbname=%s sslmode=disable",
		config.Host, config.Port, config.User, config.Password, name)
	code = w.m.Run()
	if _, err := conn.Exec(ctx, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
		return 1, fmt.Errorf("drop the database: %w", err)
	}
	return code, nil
}
