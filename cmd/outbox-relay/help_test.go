package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/config"
)

// commands returns every command with the words that call it.
func commands() map[string]*cobra.Command {
	all := map[string]*cobra.Command{}
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		all[strings.TrimPrefix(strings.TrimPrefix(c.CommandPath(), "outbox-relay"), " ")] = c
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(newRoot())
	return all
}

// in runs a command inside the test: for what needs neither signals nor an environment.
func in(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, &out, &errs)
	return code, out.String(), errs.String()
}

func TestEveryCommandHasHelp(t *testing.T) {
	t.Parallel()
	queues := []string{"database.", "nameservers"}
	open := []string{"database.", "nameservers", "group", "append_margin"}
	want := map[string][]string{ // the settings each takes, by the first words of their keys; nil for none
		"": nil, "run": {""}, "migrate": nil, "migrate up": {"database."}, "migrate down": {"database."}, "migrate status": {"database."},
		"status": {"database."}, "origin": nil, "origin show": {"database."}, "origin adopt": {"database."}, "origin new": {"database."},
		"resolve": nil, "resolve list": open, "resolve settle": open, "resolve strike": open,
		"dead": nil, "dead list": {"database."}, "dead show": {"database."}, "dead requeue": {"database."}, "dead discard": {"database."},
		"queues": nil, "queues show": queues, "queues set": queues, "queues refresh": queues,
		"config": nil, "config check": {""}, "grants": {"database.schema"}, "healthcheck": {"http.listen"}, "version": nil,
		"bench": {"database.url", "nameservers"},
	}
	all := commands()
	require.Len(t, all, len(want))
	for name, prefixes := range want {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Contains(t, all, name)
			code, help, stderr := in(t, append(strings.Fields(name), "--help")...)
			require.Zero(t, code)
			require.Empty(t, stderr)
			require.Regexp(t, `(?m)^Usage:$`, help)
			require.NotEmpty(t, all[name].Short)
			require.False(t, strings.HasSuffix(all[name].Short, "."), "it stands in a list")
			for _, s := range config.Settings() {
				takes := false
				for _, p := range prefixes {
					takes = takes || strings.HasPrefix(s.Key, p)
				}
				flag := regexp.MustCompile(`(?m)^ +--` + s.Flag() + ` ` + s.Kind + `\b`).MatchString(help)
				require.Equal(t, takes, flag, "--%s", s.Flag())
			}
			require.Equal(t, prefixes != nil, strings.Contains(help, "-c, --config string"), "what takes settings takes a file")

			code, short, _ := in(t, append(strings.Fields(name), "-h")...)
			require.Zero(t, code)
			require.Equal(t, help, short)
		})
	}
}

func TestHelpOfTheRootListsEveryCommand(t *testing.T) {
	t.Parallel()
	_, help, _ := in(t, "--help")
	for name, c := range commands() {
		if name != "" && !strings.Contains(name, " ") {
			require.Regexp(t, `(?m)^  `+name+` +`+regexp.QuoteMeta(c.Short)+`$`, help)
		}
	}
	code, bare, _ := in(t)
	require.Zero(t, code)
	require.Equal(t, help, bare, "without a command it explains itself")
	code, word, _ := in(t, "help")
	require.Zero(t, code)
	require.Equal(t, help, word)
}

// Flags of one program mean the same everywhere, and none hides one of the settings.
func TestFlagsMeanTheSameEverywhere(t *testing.T) {
	t.Parallel()
	settings := map[string]bool{}
	for _, s := range config.Settings() {
		settings[s.Flag()] = true
	}
	usages := map[string]string{}
	for name, c := range commands() {
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if was, known := usages[f.Name]; known {
				require.Equal(t, was, f.Usage, "--%s of %s", f.Name, name)
			}
			usages[f.Name] = f.Usage
			require.NotEmpty(t, f.Usage, "--%s of %s", f.Name, name)
		})
	}
	for own := range map[string]bool{
		"config": true, "app-role": true, "relay-role": true, "discard": true, "json": true, "dry-run": true,
		"discard-pending": true, "publish-pending": true, "broker": true, "topic": true, "key": true, "row": true, "attempt": true,
		"queue": true, "drop-missing": true, "pending": true, "wait": true, "older-than": true, "newer-than": true, "all": true, "id": true, "reason": true, "letters": true, "limit": true, "payload": true, "broker-gone": true,
	} {
		require.Contains(t, usages, own)
		require.False(t, settings[own], own)
	}
}

func TestNoCommandTakesWords(t *testing.T) {
	t.Parallel()
	for name := range commands() {
		code, stdout, stderr := in(t, append(strings.Fields(name), "surplus")...)
		require.Equal(t, exitUsage, code, name)
		require.Empty(t, stdout, name)
		require.Regexp(t, `^outbox-relay: .*"surplus"`, stderr, name)
		require.NotContains(t, stderr, "Usage:", "the mistake is not drowned in help")
		code, _, stderr = in(t, append(strings.Fields(name), "--surplus")...)
		require.Equal(t, exitUsage, code, name)
		require.Equal(t, "outbox-relay: flag --surplus: is unknown\n", stderr, name)
	}
}

// A pipe whose reader has gone is a failure of the command, not of its command line.
func TestOutputThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"config", "check", "--database-url=postgres://h/d", "--nameservers=a:1", "--topics=t"}, {"grants"}, {"version"},
	} {
		var stderr bytes.Buffer
		require.Equal(t, exitFailure, run(t.Context(), args, broken{}, &stderr), args)
		require.Equal(t, "outbox-relay: "+errBroken.Error()+"\n", stderr.String(), args)
	}
}

var errBroken = errors.New("broken pipe")

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errBroken }

func TestConfigCheckOfFiles(t *testing.T) {
	t.Parallel()
	const good = "database: {url: 'postgres://u:hunter2@h/d'}\nnameservers: [a:1]\ntopics: [t]\n"
	for name, test := range map[string]struct {
		yaml string
		code int
		want string // of what is printed
	}{
		"good":             {good, exitOK, `(?m)^topics +t:transaction:block:exactly_once +FILE:3$`},
		"good, in JSON":    {`{"database":{"url":"postgres://u:hunter2@h/d"},"nameservers":["a:1"],"topics":["t"]}`, exitOK, `(?m)^nameservers +a:1 +FILE:1$`},
		"with a warning":   {good + "shutdown: {grace: 1s}\n", exitOK, `(?m)^warning: shutdown\.grace is 1s`},
		"empty":            {"", exitUsage, `^3 mistakes in the settings:\n  database\.url: is required`},
		"a wrong value":    {good + "window: 1h\n", exitUsage, `^1 mistake in the settings:\n  FILE:4: window: "1h": must be 1s to 7m29s\n$`},
		"a wrong password": {"database: {url: 'postgres://u:p@hunter2@h/d'}\nnameservers: [a:1]\ntopics: [t]\n", exitUsage, `FILE:1: database\.url: \(secret, not shown\)`},
		"a wrong key":      {good + "windwo: 1s\n", exitUsage, `FILE:4: windwo: is unknown; did you mean window\?\n$`},
		"not YAML":         {good + "\t", exitUsage, `FILE: must be YAML with one setting per key: line 4: `},
		"tls":              {good + "tls: {ca: /x}\n", exitUsage, `FILE:4: tls\.ca: is unknown: the setting is tls.ca_file`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "relay.yaml")
			require.NoError(t, os.WriteFile(file, []byte(test.yaml), 0o600))
			code, stdout, stderr := in(t, "config", "check", "-c", file)
			require.Equal(t, test.code, code, stderr)
			require.Regexp(t, test.want, strings.ReplaceAll(stdout+stderr, file, "FILE"))
			require.NotContains(t, stdout+stderr, "hunter2")
			if code != exitOK {
				require.Empty(t, stdout, "what is wrong is no setting")
			} else {
				require.Equal(t, len(config.Settings()), strings.Count(stdout, "\n"), "a line for each setting")
			}
		})
	}
}
