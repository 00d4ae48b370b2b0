// Package migrations owns the outbox's schema: the SQL files, embedded; applying them; telling whether a database has what
// this program needs; and the rights of the two roles that use it.
//
// The files are plain SQL without a schema name, so any migration tool can run them. Each runs as one transaction, and each
// writes its number to outbox_origin.schema_version: that number says what really was applied, whatever a tool's own table
// says.
package migrations

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/golang-migrate/migrate/v4/source/iofs"
)

// FS holds the SQL files, named as golang-migrate expects them: NNNN_name.up.sql and NNNN_name.down.sql.
//
//go:embed *.sql
var FS embed.FS

// Table is the table in which golang-migrate keeps the applied version. It has a name of our own because the application
// may use golang-migrate, whose default is schema_migrations, in the same schema.
const Table = "outbox_schema_migrations"

// Latest returns the highest version among the embedded files.
func Latest() (int, error) {
	src, err := iofs.New(FS, ".")
	if err != nil {
		return 0, fmt.Errorf("read the embedded migrations: %w", err)
	}
	version, err := src.First()
	if err != nil {
		return 0, fmt.Errorf("read the embedded migrations: %w", err)
	}
	for {
		next, err := src.Next(version)
		if errors.Is(err, fs.ErrNotExist) {
			return int(version), nil
		}
		if err != nil {
			return 0, fmt.Errorf("read the embedded migrations: %w", err)
		}
		version = next
	}
}
