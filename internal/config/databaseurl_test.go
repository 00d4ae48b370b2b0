package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDatabaseURLIsNeverPrintedWithItsPassword(t *testing.T) {
	t.Parallel()
	for given, shown := range map[string]string{
		"postgres://relay:hunter2@db:6432/shop?sslmode=disable":             "postgres://relay@db:6432/shop",
		"postgresql://db/shop?user=relay&password=hunter2&sslmode=disable":  "postgres://relay@db:5432/shop",
		"host=db user=relay password=hunter2 dbname=shop sslmode=disable":   "postgres://relay@db:5432/shop",
		"host=db user=relay password='hunter2 x' dbname=shop port=1":        "postgres://relay@db:1/shop",
		"postgres://relay:hunter2@a:1,b:2/shop?application_name=hunter2":    "postgres://relay@a:1/shop",
		"postgres://relay:hun%2Fter2%40hunter2@db/shop?sslpassword=hunter2": "postgres://relay@db:5432/shop",
	} {
		u, err := NewDatabaseURL(given)
		require.NoError(t, err, shown)
		require.Equal(t, given, u.Reveal())

		var log bytes.Buffer
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", slog.Any("url", u), slog.Any("struct", Database{URL: u}))
		encoded, err := json.Marshal(u)
		require.NoError(t, err)
		for _, printed := range []string{
			u.String(), fmt.Sprintf("%v %+v %#v %s %q", u, u, u, u, u), fmt.Sprintf("%v %+v", Config{Database: Database{URL: u}}, &u),
			log.String(), string(encoded),
		} {
			require.NotContains(t, printed, "hunter2")
			require.Contains(t, printed, shown)
		}
	}
}

func FuzzDatabaseURL(f *testing.F) {
	f.Add("relay", "hunter2hunter2", "db", "shop")
	f.Add("", "a/b?c#d@e:f%", "[::1]", "")
	f.Fuzz(func(t *testing.T, user, password, host, database string) {
		u := url.URL{Scheme: "postgres", User: url.UserPassword(user, password), Host: host, Path: "/" + database}
		parsed, err := NewDatabaseURL(u.String())
		if err != nil {
			require.NotContains(t, err.Error(), u.String())
			return
		}
		if len(password) > 7 && !strings.Contains(user+host+database+"postgres", password) {
			require.NotContains(t, fmt.Sprintf("%v %+v %#v", parsed, parsed, parsed), password)
		}
	})
}

func TestSecretFromFile(t *testing.T) {
	t.Parallel()
	secret := filepath.Join(t.TempDir(), "url")
	require.NoError(t, os.WriteFile(secret, []byte("\n postgres://relay:hunter2@db/file\n"), 0o600))
	direct := "database: {url: 'postgres://relay:hunter2@db/direct'}"

	tests := map[string]struct {
		in     Input
		path   string
		source string
	}{
		"file":        {input(t, "database: {url_file: '"+secret+"'}", nil), "/file", "file " + secret},
		"environment": {input(t, "", []string{"OUTBOX_RELAY_DATABASE_URL_FILE=" + secret}), "/file", "file " + secret},
		"flag":        {input(t, "", nil, "--database-url-file="+secret), "/file", "file " + secret},
		"stronger":    {input(t, direct, []string{"OUTBOX_RELAY_DATABASE_URL_FILE=" + secret}), "/file", "file " + secret},
		"weaker":      {input(t, "database: {url_file: /nonexistent}", []string{"OUTBOX_RELAY_DATABASE_URL=postgres://relay@db/direct"}), "/direct", "env OUTBOX_RELAY_DATABASE_URL"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := Load(test.in, NeedDatabase)
			require.NoError(t, err)
			require.Contains(t, c.Database.URL.Reveal(), test.path)
			require.Equal(t, test.source, c.Origins()[0].Source)
			require.NotContains(t, fmt.Sprint(c.Origins()), "hunter2")
		})
	}

	both := input(t, "database: {url: 'postgres://relay:hunter2@db/direct', url_file: /nonexistent}", nil)
	require.Equal(t, "1 mistake in the settings:\n  relay.yaml:1: database.url_file: must not be given together with database.url",
		mistakes(t, both, NeedDatabase))
	missing := input(t, "", nil, "--database-url-file=/nonexistent")
	require.Equal(t, "1 mistake in the settings:\n  flag --database-url-file: database.url_file: \"/nonexistent\": must name a readable file: "+
		"no such file or directory", mistakes(t, missing, NeedDatabase))

	empty := filepath.Join(t.TempDir(), "empty")
	require.NoError(t, os.WriteFile(empty, []byte("\n"), 0o600))
	require.Contains(t, mistakes(t, input(t, "", nil, "--database-url-file="+empty), NeedDatabase), "file "+empty+": database.url: is required")
}
