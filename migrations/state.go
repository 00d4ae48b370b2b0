package migrations

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// What can be wrong with a schema. Check wraps them with what to do about it.
var (
	ErrMissing = errors.New("the outbox is not installed")
	ErrDirty   = errors.New("a migration was interrupted")
	ErrOlder   = errors.New("the schema is older than this program")
	ErrNewer   = errors.New("the schema is newer than this program")
)

// State is where a schema stands.
type State struct {
	Schema  string
	Version int  // the last migration that was applied, 0 = none
	Latest  int  // the last migration that this program knows
	Dirty   bool // golang-migrate was interrupted, or failed; Up repairs it
	Foreign bool // another tool ran the migrations
}

// Querier is what reading the state needs: a pool or a connection.
type Querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// Check returns nil if the schema is what this program needs, and otherwise an error that wraps ErrMissing, ErrDirty,
// ErrOlder or ErrNewer and names the command that mends it. It changes nothing. Any other error says nothing about the
// schema.
func Check(ctx context.Context, q Querier, schema string) error {
	if err := CheckSchemaName(schema); err != nil {
		return err
	}
	state, err := Read(ctx, q, schema)
	if err != nil {
		return err
	}
	return state.Problem()
}

// Problem returns what is wrong with the schema, as Check does.
func (s State) Problem() error {
	switch {
	case s.Dirty:
		return s.problem(ErrDirty)
	case s.Version == 0:
		return s.problem(ErrMissing)
	case s.Version < s.Latest:
		return s.problem(ErrOlder)
	case s.Version > s.Latest:
		return s.problem(ErrNewer)
	}
	return nil
}

func (s State) problem(err error) error {
	command := `run "outbox-relay migrate up"`
	switch {
	case errors.Is(err, ErrNewer):
		command = `install a newer outbox-relay ("outbox-relay version" shows this one)`
	case s.Foreign:
		command = "another tool installed it: run the newer files of migrations/ with that tool"
	}
	return fmt.Errorf("schema %s is at version %d, this program needs %d: %w: %s", quote(s.Schema), s.Version, s.Latest, err, command)
}

// Read returns where a schema stands. It needs SELECT on outbox_origin and, where golang-migrate is used, on its table.
func Read(ctx context.Context, q Querier, schema string) (State, error) {
	latest, err := Latest()
	if err != nil {
		return State{}, err
	}
	s := State{Schema: schema, Latest: latest}
	var origin, table bool
	err = q.QueryRow(ctx, `SELECT count(*) FILTER (WHERE c.relname = 'outbox_origin') > 0, count(*) FILTER (WHERE c.relname = $2) > 0
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1`, schema, Table).Scan(&origin, &table)
	if err != nil {
		return State{}, fmt.Errorf("look for the outbox in schema %s: %w", quote(schema), err)
	}
	if origin {
		err = q.QueryRow(ctx, `SELECT schema_version FROM `+quote(schema)+`.outbox_origin`).Scan(&s.Version)
		if err != nil {
			return State{}, unreadable(err, "read the version of schema %s", schema)
		}
	}
	if table {
		err = q.QueryRow(ctx, `SELECT coalesce(bool_or(dirty), false) FROM `+quote(schema)+`.`+Table).Scan(&s.Dirty)
		if err != nil {
			return State{}, unreadable(err, "read the migration state of schema %s", schema)
		}
	}
	s.Foreign = origin && !table
	return s, nil
}

func unreadable(err error, what, schema string) error {
	err = fmt.Errorf(what+": %w", quote(schema), err)
	if sqlState(err) == "42501" {
		return fmt.Errorf(`%w: grant what "outbox-relay grants" prints`, err)
	}
	return err
}
