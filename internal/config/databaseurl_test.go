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

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
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

// A password that is not percent-encoded can end up in any other part of a URL, and those are shown. All are refused, and the
// error tells no part of it.
func TestPasswordInTheWrongPlaceIsRefused(t *testing.T) {
	t.Parallel()
	for _, given := range []string{
		"postgres://u:p@hunter2@h/d", "postgres://u:p@hunter2,x@h/d", "postgres://u:p@hunter2/x@h/d", "postgres://u:p@hunter2?x@h/d",
		"postgres://u:p@hunter2#x@h/d", "postgres://u:1/hunter2@h/d", "postgres://u:p@hunter2:1@h/d",
		"postgres://u:hunter2@@h/d",
	} {
		u, err := NewDatabaseURL(given)
		if err == nil {
			require.NotContains(t, u.String(), "hunter2", given)
			t.Errorf("%s is shown as %s", given, u)
			continue
		}
		require.NotContains(t, err.Error(), "hunter2")
		require.Empty(t, u.Reveal())
	}
}

func TestDatabaseURLsThatAreRight(t *testing.T) {
	t.Parallel()
	for given, shown := range map[string]string{
		"postgres://u:p%40ss@h/d":                         "postgres://u@h:5432/d",
		"postgres://user%40corp:p@h/d":                    "postgres://user%40corp@h:5432/d",
		"postgres://u:p@[::1]:6432/d":                     "postgres://u@[::1]:6432/d",
		"postgres://u:p@h/my%20shop":                      "postgres://u@h:5432/my%20shop",
		"postgres://u@/d?host=/var/run/postgresql":        "postgres://u@%2Fvar%2Frun%2Fpostgresql:5432/d",
		"postgres://u@h/d?application_name=me@work":       "postgres://u@h:5432/d",
		"host=h port=6432 user=u dbname=d password='a@b'": "postgres://u@h:6432/d",
	} {
		u, err := NewDatabaseURL(given)
		require.NoError(t, err, given)
		require.Equal(t, shown, u.String())
	}
}

// What pgx reads is what is connected to; what is shown must say the same place.
func TestShownIsWhatIsConnectedTo(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[a-zA-Z0-9_.~ -]{1,12}`).Filter(func(s string) bool { return strings.TrimSpace(s) == s })
		user, host, database := name.Draw(t, "user"), rapid.StringMatching(`[a-z][a-z0-9.-]{0,10}`).Draw(t, "host"), name.Draw(t, "database")
		port := rapid.IntRange(1, 65535).Draw(t, "port")
		given := url.URL{
			Scheme: "postgres", User: url.UserPassword(user, "hunter2"+rapid.String().Draw(t, "password")),
			Host: fmt.Sprintf("%s:%d", host, port), Path: "/" + database,
		}
		u, err := NewDatabaseURL(given.String())
		if err != nil {
			if strings.Contains(given.String(), "%00") {
				return
			}
			t.Fatal(err)
		}
		shown, err := url.Parse(u.String())
		if err != nil {
			t.Fatal(err)
		}
		if _, secret := shown.User.Password(); secret || shown.User.Username() != user || shown.Host != given.Host || shown.Path != given.Path {
			t.Fatalf("%s is shown as %s", given.Redacted(), u)
		}
	})
}

func TestZeroDatabaseURL(t *testing.T) {
	t.Parallel()
	var u DatabaseURL
	require.Empty(t, u.String())
	require.Empty(t, u.Reveal())
	require.Equal(t, "config.DatabaseURL()", u.GoString())
	_, err := NewDatabaseURL("")
	require.EqualError(t, err, "empty")
}

// FuzzDatabaseURLText: of any text that is taken for key=value pairs or a URL with this password, neither the error nor what is
// shown has the password in it.
func FuzzDatabaseURLText(f *testing.F) {
	f.Add("postgres://u:", "@h/d")
	f.Add("postgres://u:p@", "@h/d")
	f.Add("host=h password=", " dbname=d")
	f.Add("host=h password='", "' dbname=d")
	f.Add("postgres://u@h/d?password=", "&sslmode=disable")
	f.Add("postgres://u:1/", "@h/d")
	f.Add("postgres://u:1?", "@h,i/d")
	f.Fuzz(func(t *testing.T, before, after string) {
		const secret = "hunter2hunter2"
		u, err := NewDatabaseURL(before + secret + after)
		if err != nil {
			require.NotContains(t, err.Error(), secret)
			return
		}
		parsed, err := pgconn.ParseConfig(u.Reveal())
		require.NoError(t, err)
		if strings.Contains(parsed.User+parsed.Host+parsed.Database, secret) {
			return // Then it is no password but a name, which is shown.
		}
		for _, printed := range []string{u.String(), u.GoString(), u.LogValue().String(), fmt.Sprintf("%v %+v %#v", u, Database{URL: u}, &u)} {
			require.NotContains(t, printed, secret)
		}
	})
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
