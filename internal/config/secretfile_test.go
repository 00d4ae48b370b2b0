package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// secretIn writes a file and returns its path.
func secretIn(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

func TestWhiteSpaceAroundASecretIsDropped(t *testing.T) {
	t.Parallel()
	const secret = "postgres://relay:hunter2@db/shop"
	for _, text := range []string{secret, secret + "\n", secret + "\r\n", "\n\n" + secret + "\n\n", "\t " + secret + " \t"} {
		c, err := Load(input(t, "", nil, "--database-url-file="+secretIn(t, text)), NeedDatabase)
		require.NoError(t, err, "%q", text)
		require.Equal(t, secret, c.Database.URL.Reveal(), "%q", text)
	}
	// White space within is part of it.
	c, err := Load(input(t, "", nil, "--database-url-file="+secretIn(t, "host=db\npassword='hunter2 x'\ndbname=shop\n")), NeedDatabase)
	require.NoError(t, err)
	require.Regexp(t, `^postgres://(.+@)?db:5432/shop$`, c.Database.URL.String())
}

func TestSecretFilesThatHoldNoSecret(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := secretIn(t, "postgres://h/d")
	loop := filepath.Join(dir, "loop")
	require.NoError(t, os.Symlink(loop, loop))
	for name, test := range map[string]struct{ file, want string }{
		"missing":                {filepath.Join(dir, "none"), "must name a readable file: no such file or directory"},
		"a folder":               {dir, "must name a readable file: is a directory"},
		"below a file":           {filepath.Join(file, "x"), "must name a readable file: not a directory"},
		"a loop of links":        {loop, "must name a readable file: too many levels of symbolic links"},
		"empty":                  {secretIn(t, ""), "database.url: is required"},
		"nothing but lines":      {secretIn(t, "\n\r\n \n"), "database.url: is required"},
		"no URL":                 {secretIn(t, "hunter2"), "database.url: (secret, not shown): must be a PostgreSQL URL"},
		"two lines":              {secretIn(t, "postgres://u:hunter2@h/d\npostgres://u:hunter2@g/d\n"), "database.url: (secret, not shown): must be"},
		"bytes that are no text": {secretIn(t, "\x00\xff\xfehunter2"), "database.url: (secret, not shown): must be"},
		"an unescaped password":  {secretIn(t, "postgres://u:hunter2/x@h/d"), "database.url: (secret, not shown): must be"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, in := range []Input{
				input(t, "", nil, "--database-url-file="+test.file),
				input(t, "", []string{"OUTBOX_RELAY_DATABASE_URL_FILE=" + test.file}),
				input(t, fmt.Sprintf("database: {url_file: %q}", test.file), nil),
			} {
				got := mistakes(t, in, NeedDatabase)
				require.Contains(t, got, "1 mistake in")
				require.Contains(t, got, test.want)
				require.NotContains(t, got, "hunter2")
			}
		})
	}
}

// Of the two settings, each of which can come from three sources or none, the stronger holds; a tie is a mistake.
func TestPrecedenceOfSecretFiles(t *testing.T) {
	t.Parallel()
	file := secretIn(t, "postgres://h/from-file\n")
	const direct = "postgres://h/direct"
	for url := range 4 { // 0 = not given, 1 = file, 2 = variable, 3 = flag
		for urlFile := range 4 {
			var yaml string
			var environ, args []string
			for at, setting := range map[string]int{"url: " + direct: url, "url_file: " + file: urlFile} {
				key, value, _ := strings.Cut(at, ": ")
				switch setting {
				case 1:
					yaml += fmt.Sprintf("database.%s: %q\n", key, value)
				case 2:
					environ = append(environ, map[string]string{"url": "OUTBOX_RELAY_DATABASE_URL=", "url_file": "OUTBOX_RELAY_DATABASE_URL_FILE="}[key]+value)
				case 3:
					args = append(args, map[string]string{"url": "--database-url=", "url_file": "--database-url-file="}[key]+value)
				}
			}
			what := fmt.Sprintf("url from %d, url_file from %d", url, urlFile)
			c, err := Load(input(t, yaml, environ, args...), NeedNothing)
			if url == urlFile && url != 0 {
				require.ErrorContains(t, err, "database.url_file: must not be given together with database.url", what)
				continue
			}
			require.NoError(t, err, what)
			switch {
			case url == 0 && urlFile == 0:
				require.Empty(t, c.Database.URL.Reveal(), what)
			case url > urlFile:
				require.Equal(t, direct, c.Database.URL.Reveal(), what)
			default:
				require.Equal(t, "postgres://h/from-file", c.Database.URL.Reveal(), what)
				require.Equal(t, "file "+file, origin(t, c, "database.url").Source, what)
			}
			if urlFile > 0 {
				require.Equal(t, file, c.Database.URLFile, what)
			}
		}
	}
}

// A secret that is read anew at the next start must be read from the file that is named then.
func TestSecretFileIsReadAtEveryLoad(t *testing.T) {
	t.Parallel()
	file := secretIn(t, "postgres://u:first@h/d")
	in := input(t, "", []string{"OUTBOX_RELAY_DATABASE_URL_FILE=" + file})
	c, err := Load(in, NeedDatabase)
	require.NoError(t, err)
	require.Contains(t, c.Database.URL.Reveal(), "first")
	require.NoError(t, os.WriteFile(file, []byte("postgres://u:second@h/d"), 0o600))
	c, err = Load(in, NeedDatabase)
	require.NoError(t, err)
	require.Contains(t, c.Database.URL.Reveal(), "second")
}
