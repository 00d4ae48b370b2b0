package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCommandLines(t *testing.T) {
	t.Parallel()
	good := []string{
		"OUTBOX_RELAY_DATABASE_URL=postgres://relay:hunter2@db/shop", "OUTBOX_RELAY_NAMESERVERS=ns:9876", "OUTBOX_RELAY_TOPICS=orders,mails:skip",
		"OUTBOX_RELAY_INSTANCE=pod-7",
	}
	tests := map[string]struct {
		args           []string
		environ        []string
		code           int
		stdout, stderr []string // regular expressions
	}{
		"no command":       {code: 0, stdout: []string{"outbox-relay migrate up", "Exit codes: 0 done, 1 failed, 2 the command line"}},
		"help":             {args: []string{"run", "--help"}, code: 0, stdout: []string{"--window duration", "--config string"}},
		"version":          {args: []string{"version"}, code: 0, stdout: []string{`^outbox-relay \S+, go1\.\d+`}},
		"unknown command":  {args: []string{"rnu"}, code: 2, stderr: []string{`^outbox-relay: unknown command "rnu"`}},
		"unknown argument": {args: []string{"run", "fast"}, code: 2, stderr: []string{`^outbox-relay: unknown command "fast" for "outbox-relay run"`}},
		"unknown flag":     {args: []string{"run", "--windw=1s"}, code: 2, stderr: []string{`^outbox-relay: flag --windw: is unknown; did you mean --window\?\n$`}},
		"not yet":          {args: []string{"run", "--tls-ca=x"}, code: 2, stderr: []string{`flag --tls-ca: is unknown: the setting is tls.ca_file`}},
		"half a command":   {args: []string{"config"}, code: 2, stderr: []string{"config needs the word check"}},
		"half a migration": {args: []string{"migrate"}, code: 2, stderr: []string{"migrate needs one of up, down and status"}},
		"half an origin":   {args: []string{"origin"}, code: 2, stderr: []string{"origin needs one of show, adopt and new"}},
		"half resolved":    {args: []string{"resolve"}, code: 2, stderr: []string{"resolve needs one of list, settle and strike"}},
		"all resolved":     {args: []string{"resolve", "strike"}, environ: good, code: 1, stderr: []string{"name the messages: --broker"}},
		"half queues":      {args: []string{"queues"}, code: 2, stderr: []string{"queues needs one of show, set and refresh"}},
		"queues of what":   {args: []string{"queues", "refresh"}, environ: good, code: 1, stderr: []string{"name the topic: --topic"}},
		"no queues":        {args: []string{"queues", "set", "--topic=t"}, environ: good, code: 1, stderr: []string{"name the queues: --queue"}},
		"sideways":         {args: []string{"migrate", "sideways"}, code: 2, stderr: []string{"unknown command"}},
		"settings": {
			args: []string{"config", "check", "--batch-rows=7"}, environ: good, code: 0,
			stdout: []string{
				`(?m)^database\.url +postgres://relay@db:5432/shop +env OUTBOX_RELAY_DATABASE_URL$`, `(?m)^batch\.rows +7 +flag --batch-rows$`,
				`(?m)^topics +orders:transaction:block:exactly_once,mails:transaction:skip:exactly_once +env OUTBOX_RELAY_TOPICS$`,
				`(?m)^window +10s +default$`,
			},
			stderr: []string{"^$"},
		},
		"warning": {args: []string{"config", "check", "--send-timeout=1s"}, environ: good, code: 0, stderr: []string{"^warning: send_timeout is 1s"}},
		"mistakes": {
			args: []string{"config", "check", "--batch-rows=0", "--log-level=loud"}, environ: good[:2], code: 2, stdout: []string{"^$"},
			stderr: []string{`^3 mistakes in the settings:\n`, `(?m)^  topics: is required`, `(?m)^  flag --batch-rows: batch\.rows: "0": must be 1 to 4096$`, `(?m)^  flag --log-level: `},
		},
		"run with mistakes": {args: []string{"run"}, code: 2, stderr: []string{"^3 mistakes in the settings:"}},
		"no file":           {args: []string{"run", "-c", "/nonexistent.yaml"}, environ: good, code: 2, stderr: []string{`flag --config: "/nonexistent.yaml": must name a readable file`}},
		"grants": {
			args: []string{"grants", "--app-role=shop", "--relay-role", "my relay", "--database-schema=messaging"}, code: 0,
			stdout: []string{`GRANT INSERT ON "messaging"\.outbox TO "shop";`, `GRANT SELECT, INSERT ON "messaging"\.outbox_dead TO "my relay";`},
		},
		"grants to nobody": {args: []string{"grants", "--app-role="}, code: 2, stderr: []string{"a role name is empty"}},
		"database is away": {args: []string{"migrate", "status", "--database-url=postgres://u:hunter2@127.0.0.1:1/d"}, code: 1, stderr: []string{"^outbox-relay: connect to read the schema version"}},
		"status is away":   {args: []string{"status", "--database-url=postgres://u:hunter2@127.0.0.1:1/d"}, code: 1, stderr: []string{"^outbox-relay: "}},
		"port":             {args: []string{"run", "--http-listen=203.0.113.1:1"}, environ: good, code: 1, stderr: []string{`"level":"ERROR","msg":"stopped","error":"serve metrics and health`}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := do(t, test.environ, test.args...)
			require.Equal(t, test.code, code)
			for _, want := range test.stdout {
				require.Regexp(t, want, stdout)
			}
			for _, want := range test.stderr {
				require.Regexp(t, want, stderr)
			}
			require.NotContains(t, stdout+stderr, "hunter2")
		})
	}
}

func TestSettingsFromAFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "relay.yaml")
	require.NoError(t, os.WriteFile(file, []byte("database: {url: postgres://h/d}\nnameservers: [ns:9876]\ntopics: [orders]\nwindow: 20s\n"), 0o600))
	for _, c := range []struct{ environ, args []string }{
		{nil, []string{"config", "check", "--config", file}},
		{[]string{"OUTBOX_RELAY_CONFIG=" + file}, []string{"config", "check"}},
	} {
		code, stdout, _ := do(t, c.environ, c.args...)
		require.Zero(t, code)
		require.Regexp(t, `(?m)^window +20s +`+file+`:4$`, stdout)
	}
}
