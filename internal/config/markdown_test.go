package config

import (
	"os"
	"regexp"
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
)

// updating reports whether docs/configuration.md and the golden files are to be written anew.
func updating() bool { return os.Getenv("UPDATE_DOCS") != "" }

func TestDocsAreCurrent(t *testing.T) {
	t.Parallel()
	const path = "../../docs/configuration.md"
	if updating() {
		require.NoError(t, os.WriteFile(path, []byte(Markdown()), 0o600))
	}
	written, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, Markdown(), string(written), "run UPDATE_DOCS=1 go test ./internal/config")
}

func TestTheExampleInTheDocsLoads(t *testing.T) {
	t.Parallel()
	example := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindStringSubmatch(Markdown())
	require.Len(t, example, 2)
	_, err := Load(input(t, example[1], nil), NeedAll)
	require.NoError(t, err)
}

func TestHelpShowsEverySetting(t *testing.T) {
	t.Parallel()
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	AddFlags(fs)
	help := fs.FlagUsages()
	for _, s := range Settings() {
		require.Contains(t, help, "--"+s.Flag()+" "+s.Kind)
	}
	require.Regexp(t, `--window duration +How long a broker may accept the commit of a half message: what fences a frozen relay; `+
		`whole seconds, 1s to 7m29s \(default 10s\)\n`, help)
	require.Contains(t, help, "(default the host name)")

	only := pflag.NewFlagSet("test", pflag.ContinueOnError)
	AddFlags(only, "database.", "log.")
	require.NotNil(t, only.Lookup("database-url"))
	require.NotNil(t, only.Lookup("log-level"))
	require.Nil(t, only.Lookup("topics"))
}

func TestUnknownFlags(t *testing.T) {
	t.Parallel()
	for arg, want := range map[string]string{
		"--windw=1s":      "flag --windw: is unknown; did you mean --window?",
		"--tls-ca=x":      "flag --tls-ca: is unknown: the setting is tls.ca_file",
		"--secret-key=x":  "flag --secret-key: is unknown: the setting is credentials.secret_key",
		"--nothing-alike": "flag --nothing-alike: is unknown",
		"--window":        "flag needs an argument: --window",
	} {
		fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
		AddFlags(fs)
		err := fs.Parse([]string{arg})
		require.Error(t, err)
		require.ErrorContains(t, FlagMistake(fs, err), want)
	}
}
