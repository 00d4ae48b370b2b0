package config

import (
	"errors"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
)

func flags(prefixes ...string) *pflag.FlagSet {
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	AddFlags(fs, prefixes...)
	return fs
}

func TestFlagsOfSomeSettings(t *testing.T) {
	t.Parallel()
	for prefix, want := range map[string][]string{
		"database.":       {"database-schema", "database-url", "database-url-file"},
		"database.schema": {"database-schema"},
		"log.":            {"log-format", "log-level", "log-sends"},
		"http.":           {"http-listen", "http-pprof"},
		"nothing.":        nil,
	} {
		var got []string
		flags(prefix).VisitAll(func(f *pflag.Flag) { got = append(got, f.Name) })
		require.Equal(t, want, got, prefix)
	}
	n := 0
	flags().VisitAll(func(*pflag.Flag) { n++ })
	require.Len(t, Settings(), n, "without prefixes, every setting has one")
}

func TestFlagsShowTheirDefaults(t *testing.T) {
	t.Parallel()
	fs := flags()
	for _, s := range Settings() {
		f := fs.Lookup(s.Flag())
		require.Equal(t, s.Default, f.DefValue, s.Key)
		require.Equal(t, s.Default, f.Value.String(), s.Key)
		require.Equal(t, s.Kind, f.Value.Type(), s.Key)
		require.False(t, f.Changed)
	}
}

// Help is one paragraph for each flag: no Markdown, no line breaks, not the whole documentation.
func TestUsage(t *testing.T) {
	t.Parallel()
	for _, s := range Settings() {
		usage := s.usage()
		require.NotContains(t, usage, "`", s.Key)
		require.NotContains(t, usage, "\n", s.Key)
		require.False(t, strings.HasSuffix(usage, "."), usage)
		require.Less(t, len(usage), 260, s.Key)
		if s.Rule != "" {
			require.Contains(t, usage, s.Rule, s.Key)
		}
	}
	require.Equal(t, "What it is", Setting{Doc: "What it is. And why."}.usage())
	require.Equal(t, "Half of batch.rows; 1 to 3", Setting{Doc: "Half of `batch.rows`.", Rule: "1 to 3"}.usage())
	require.Equal(t, "Its name; text (default none)", Setting{Doc: "Its name.", Rule: "text", DefaultNote: "none"}.usage())
}

// A flag that may be given once holds what was given last; one that may be given more often holds all.
func TestRepeatedFlags(t *testing.T) {
	t.Parallel()
	for _, s := range Settings() {
		fs := flags()
		values := alternatives()[s.Key]
		require.NoError(t, fs.Parse([]string{"--" + s.Flag(), values[0], "--" + s.Flag() + "=" + values[1]}))
		want := values[1]
		if s.Repeatable {
			want = values[0] + "," + values[1]
		}
		require.Equal(t, want, fs.Lookup(s.Flag()).Value.String(), s.Key)
	}
}

// The flags take any text, so that Load can tell of every mistake at once.
func TestFlagsTakeAnyText(t *testing.T) {
	t.Parallel()
	var args []string
	for _, s := range Settings() {
		args = append(args, "--"+s.Flag()+"=\x00 no, really")
	}
	fs := flags()
	require.NoError(t, fs.Parse(args))
	_, err := Load(Input{Flags: fs}, NeedNothing)
	var ms Mistakes
	require.ErrorAs(t, err, &ms)
	blamed := map[string]bool{}
	for _, m := range ms {
		key, _, _ := strings.Cut(m.Key, "[")
		blamed[key] = true
		require.NotContains(t, m.String(), "\x00")
	}
	for _, s := range Settings() {
		if !blamed[s.Key+"_file"] {
			require.Contains(t, blamed, s.Key)
		}
	}
}

func TestFlagsThatWereNotGivenAreNoSource(t *testing.T) {
	t.Parallel()
	fs := flags()
	require.NoError(t, fs.Parse(nil))
	c, err := Load(Input{Flags: fs, Environ: []string{"OUTBOX_RELAY_WINDOW=11s"}}, NeedNothing)
	require.NoError(t, err)
	require.Equal(t, "env OUTBOX_RELAY_WINDOW", origin(t, c, "window").Source)

	// A command that has no flag for a setting still reads it from elsewhere.
	c, err = Load(Input{Flags: flags("log."), Environ: []string{"OUTBOX_RELAY_WINDOW=12s"}}, NeedNothing)
	require.NoError(t, err)
	require.Equal(t, "12s", origin(t, c, "window").Value)
}

// Every flag, with its last letter missing or doubled, two letters swapped, or underscores for dashes, is recognised.
func TestMisspelledFlagsAreRecognised(t *testing.T) {
	t.Parallel()
	fs := flags()
	for _, s := range Settings() {
		name := s.Flag()
		for _, typed := range []string{
			name[:len(name)-1], name + name[len(name)-1:], name[1:2] + name[:1] + name[2:], strings.ReplaceAll(name, "-", "_"), "the-" + name,
		} {
			if fs.Lookup(typed) != nil || typed == "the-"+name && len(typed) < 16 {
				continue // Another flag, or more of it is wrong than not.
			}
			err := FlagMistake(fs, fs.Parse([]string{"--" + typed + "=x"}))
			require.ErrorContains(t, err, "flag --"+typed+": is unknown; did you mean --", s.Key)
			if !strings.HasPrefix(name, "retry-") && name != "database-url" && name != "database-url-file" { // near each other
				require.ErrorContains(t, err, "did you mean --"+name+"?")
			}
		}
	}
}

func TestOtherFlagErrorsAreLeftAsTheyAre(t *testing.T) {
	t.Parallel()
	fs := flags()
	for _, args := range [][]string{{"-x"}, {"--window"}, {"---"}, {"--=3"}} {
		err := fs.Parse(args)
		require.Error(t, err, args)
		require.Equal(t, err, FlagMistake(fs, err), args)
	}
	other := errors.New("out of memory")
	require.Equal(t, other, FlagMistake(fs, other))
}
