package config

import (
	"errors"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// DatabaseURL is a connection string. However it is printed or logged, only host, port, user and database are seen:
// passwords can be in the user part, in a parameter and in key=value pairs, so what is shown is built from the parts that
// are known to be harmless.
type DatabaseURL struct {
	secret string
	shown  string
}

// NewDatabaseURL checks s the way pgx will read it. The error names no part of s.
func NewDatabaseURL(s string) (DatabaseURL, error) {
	if s == "" {
		return DatabaseURL{}, errors.New("empty")
	}
	parsed, err := pgconn.ParseConfig(s)
	if err != nil {
		return DatabaseURL{}, errors.New("not a connection string")
	}
	if holdsPassword(parsed) {
		return DatabaseURL{}, errors.New("a password with /, ? or @ in it that is not percent-encoded")
	}
	shown := url.URL{Scheme: "postgres", Host: parsed.Host, Path: "/" + parsed.Database}
	if parsed.Port != 0 {
		shown.Host = net.JoinHostPort(parsed.Host, strconv.Itoa(int(parsed.Port)))
	}
	if parsed.User != "" {
		shown.User = url.User(parsed.User)
	}
	return DatabaseURL{secret: s, shown: shown.String()}, nil
}

// holdsPassword reports whether a part that is shown has an @ in it: what stands before the @ was meant to be the password.
func holdsPassword(c *pgconn.Config) bool {
	parts := []string{c.Database, c.Host}
	for _, f := range c.Fallbacks {
		parts = append(parts, f.Host)
	}
	for name := range c.RuntimeParams {
		parts = append(parts, name)
	}
	return slices.ContainsFunc(parts, func(s string) bool { return strings.Contains(s, "@") })
}

// Reveal returns the connection string with its password.
func (u DatabaseURL) Reveal() string { return u.secret }

// String returns where the database is, without secrets.
func (u DatabaseURL) String() string { return u.shown }

// GoString keeps %#v from printing the fields.
func (u DatabaseURL) GoString() string { return "config.DatabaseURL(" + u.shown + ")" }

// LogValue makes slog log what String returns.
func (u DatabaseURL) LogValue() slog.Value { return slog.StringValue(u.shown) }

// MarshalText keeps encoders from writing the secret.
func (u DatabaseURL) MarshalText() ([]byte, error) { return []byte(u.shown), nil }

func databaseURL() kind[DatabaseURL] {
	return scalar("secret", "a PostgreSQL URL, postgres://user:password@host:port/database, or key=value pairs; special characters of the password percent-encoded, and the files it names present",
		NewDatabaseURL, DatabaseURL.String)
}
