package migrations

import (
	"context"
	"errors"
	"fmt"

	"github.com/golang-migrate/migrate/v4"
	"github.com/golang-migrate/migrate/v4/database"
	driver "github.com/golang-migrate/migrate/v4/database/pgx/v5"
	"github.com/golang-migrate/migrate/v4/source/iofs"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// Up brings the schema to the latest version, creating the Postgres schema where it is missing, and returns where it stands.
// Several processes may call it at once: they go one after another, by a lock of the session, so url must not lead through a
// pooler that shares sessions between transactions. A schema that another tool installed is left to it.
func Up(ctx context.Context, url, schema string) (State, error) {
	return locked(ctx, url, schema, func(conn *pgx.Conn, was State) error {
		switch {
		case was.Version > was.Latest:
			return was.problem(ErrNewer)
		case was.Foreign && was.Version < was.Latest:
			return was.problem(ErrOlder)
		case was.Foreign:
			return nil
		}
		if err := createSchema(ctx, conn, schema); err != nil {
			return err
		}
		return step(ctx, conn.Config(), was, (*migrate.Migrate).Up)
	})
}

// Down removes the outbox with everything in it: pending rows, dead letters and history. The Postgres schema stays, and in
// it golang-migrate's empty table.
func Down(ctx context.Context, url, schema string) (State, error) {
	return locked(ctx, url, schema, func(conn *pgx.Conn, was State) error {
		switch {
		case was.Version > was.Latest:
			return was.problem(ErrNewer)
		case was.Foreign:
			return fmt.Errorf("another tool installed the outbox in schema %s: remove it with that tool", quote(schema))
		case was.Version == 0 && !was.Dirty:
			return nil
		}
		return step(ctx, conn.Config(), was, (*migrate.Migrate).Down)
	})
}

// Status returns where the schema stands. It changes nothing.
func Status(ctx context.Context, url, schema string) (State, error) {
	if err := CheckSchemaName(schema); err != nil {
		return State{}, err
	}
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return State{}, fmt.Errorf("connect to read the schema version: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // nothing was written on it
	return Read(ctx, conn, schema)
}

// locked runs change under a lock of our own, on a connection whose search_path is the schema. golang-migrate has a lock
// too, but only around its own steps: what was read before it would be out of date.
func locked(ctx context.Context, url, schema string, change func(conn *pgx.Conn, was State) error) (State, error) {
	if err := CheckSchemaName(schema); err != nil {
		return State{}, err
	}
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return State{}, fmt.Errorf("read the database URL: %w", err)
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return State{}, fmt.Errorf("connect to migrate: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // closing gives the lock back, whatever it answers

	if err := enter(ctx, conn, schema); err != nil {
		return State{}, err
	}
	lock := `SELECT pg_advisory_lock(hashtextextended('outbox-relay migrate ' || $1::text, 0))`
	if _, err := conn.Exec(ctx, lock, schema); err != nil {
		return State{}, fmt.Errorf("wait for other migrations: %w", err)
	}
	was, err := Read(ctx, conn, schema)
	if err != nil {
		return State{}, err
	}
	if err := change(conn, was); err != nil && !errors.Is(err, migrate.ErrNoChange) {
		return State{}, fmt.Errorf("migrate schema %s: %w", quote(schema), err)
	}
	return Read(ctx, conn, schema)
}

// enter makes the schema the only one of the session, and no startup parameter: poolers refuse those.
func enter(ctx context.Context, conn *pgx.Conn, schema string) error {
	if _, err := conn.Exec(ctx, `SELECT set_config('search_path', $1, false)`, quote(schema)); err != nil {
		return fmt.Errorf("set the search_path: %w", err)
	}
	return nil
}

// step lets golang-migrate run, after it has repaired its record of a migration that was interrupted: a migration is one
// transaction, so the number that it wrote says whether it took place.
func step(ctx context.Context, config *pgx.ConnConfig, was State, run func(*migrate.Migrate) error) error {
	db := stdlib.OpenDB(*config, stdlib.OptionAfterConnect(func(ctx context.Context, conn *pgx.Conn) error {
		return enter(ctx, conn, was.Schema)
	}))
	defer db.Close() //nolint:errcheck // everything was committed or has failed before
	if err := db.PingContext(ctx); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	target, err := driver.WithInstance(db, &driver.Config{MigrationsTable: Table, SchemaName: was.Schema})
	if err != nil {
		return fmt.Errorf("prepare table %s: %w", Table, err)
	}
	src, err := iofs.New(FS, ".")
	if err != nil {
		return fmt.Errorf("read the embedded files: %w", err)
	}
	m, err := migrate.NewWithInstance("embedded", src, "postgres", target)
	if err != nil {
		return err
	}
	if was.Dirty {
		version := was.Version
		if version == 0 {
			version = database.NilVersion
		}
		if err := m.Force(version); err != nil {
			return fmt.Errorf("repair table %s: %w", Table, err)
		}
	}
	defer context.AfterFunc(ctx, func() { m.GracefulStop <- true })()
	return run(m)
}
