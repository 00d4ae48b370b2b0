package migrations

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// CheckSchemaName reports why a schema cannot have this name: it is empty, longer than the 63 bytes to which Postgres
// silently cuts names, holds a zero byte, or begins with pg_, which Postgres keeps for itself. Every other name works,
// because names are always quoted.
func CheckSchemaName(schema string) error {
	switch {
	case schema == "":
		return errors.New("schema name is empty")
	case len(schema) > 63:
		return fmt.Errorf("schema name %q is longer than 63 bytes", schema)
	case strings.ContainsRune(schema, 0):
		return fmt.Errorf("schema name %q holds a zero byte", schema)
	case strings.HasPrefix(schema, "pg_"):
		return fmt.Errorf("schema name %q begins with pg_, which Postgres keeps for itself", schema)
	}
	return nil
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

// createSchema creates the schema if it is missing. It looks first, because CREATE SCHEMA IF NOT EXISTS demands the right to
// create schemas even where there is nothing to create.
func createSchema(ctx context.Context, conn *pgx.Conn, schema string) error {
	var exists bool
	err := conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = $1)`, schema).Scan(&exists)
	if err != nil {
		return fmt.Errorf("look for schema %s: %w", quote(schema), err)
	}
	if exists {
		return nil
	}
	if _, err := conn.Exec(ctx, `CREATE SCHEMA `+quote(schema)); err != nil {
		if sqlState(err) == "42501" {
			return fmt.Errorf("schema %s does not exist and this role may not create it; as a role that may, run: CREATE SCHEMA %s AUTHORIZATION %s: %w",
				quote(schema), quote(schema), quote(conn.Config().User), err)
		}
		return fmt.Errorf("create schema %s: %w", quote(schema), err)
	}
	return nil
}

func sqlState(err error) string {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		return pgErr.Code
	}
	return ""
}
