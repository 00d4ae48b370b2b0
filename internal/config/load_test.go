package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
)

const minimal = `
database: {url: "postgres://relay:hunter2@db:5432/shop"}
nameservers: [ns1:9876, "http://ns2:9876"]
topics: [orders, payments]
`

// input makes an Input of a YAML text, variables and flags.
func input(t *testing.T, yaml string, environ []string, args ...string) Input {
	t.Helper()
	in := Input{Environ: environ, Flags: pflag.NewFlagSet("test", pflag.ContinueOnError)}
	AddFlags(in.Flags)
	require.NoError(t, in.Flags.Parse(args))
	if yaml != "" {
		in.File = filepath.Join(t.TempDir(), "relay.yaml")
		require.NoError(t, os.WriteFile(in.File, []byte(yaml), 0o600))
	}
	return in
}

// mistakes loads in, which must fail, and returns the mistakes as text without the folder of the file.
func mistakes(t *testing.T, in Input, need Need) string {
	t.Helper()
	c, err := Load(in, need)
	require.Error(t, err)
	require.Nil(t, c)
	var ms Mistakes
	require.ErrorAs(t, err, &ms)
	text := err.Error()
	if in.File != "" {
		text = strings.ReplaceAll(text, filepath.Dir(in.File)+"/", "")
	}
	return text
}

func TestThreeSettingsAreEnough(t *testing.T) {
	t.Parallel()
	c, err := Load(input(t, minimal, nil), NeedAll)
	require.NoError(t, err)
	host, err := os.Hostname()
	require.NoError(t, err)

	require.Equal(t, "postgres://relay:hunter2@db:5432/shop", c.Database.URL.Reveal())
	require.Equal(t, "public", c.Database.Schema)
	require.Equal(t, []string{"ns1:9876", "ns2:9876"}, c.NameServers)
	require.Equal(t, []Topic{
		{Name: "orders", Type: "transaction", OnDead: "block", Delivery: "exactly_once"},
		{Name: "payments", Type: "transaction", OnDead: "block", Delivery: "exactly_once"},
	}, c.Topics)
	require.Equal(t, "outbox-relay", c.Group)
	require.Equal(t, host, c.Instance)
	require.Equal(t, 1, c.Connections)
	require.Equal(t, Batch{Rows: 512, Bytes: 8 << 20, InFlight: 4}, c.Batch)
	require.Equal(t, Poll{Busy: 2 * time.Millisecond, Idle: 100 * time.Millisecond}, c.Poll)
	require.Equal(t, 10*time.Second, c.Window)
	require.Equal(t, 5*time.Second, c.AppendMargin)
	require.Equal(t, 6*time.Second, c.SendTimeout)
	require.Equal(t, 2500*time.Millisecond, c.CommitTimeout)
	require.Equal(t, Lease{Duration: 10 * time.Second, Renew: 3 * time.Second}, c.Lease)
	require.Equal(t, 7*24*time.Hour, c.Retention)
	require.Equal(t, Retry{Initial: time.Second, Factor: 1.6, Jitter: 0.2, Max: 2 * time.Minute}, c.Retry)
	require.Equal(t, ":9090", c.HTTP.Listen)
	require.Equal(t, "json", c.Log.Format)
	require.Equal(t, 25*time.Second, c.Shutdown.Grace)
	require.Empty(t, c.Warnings())
}

// others holds a value for every setting that is valid and not the default, as shown.
func others() map[string]string {
	return map[string]string{
		"database.url": "postgres://other@elsewhere:6432/ledger", "database.schema": "messaging",
		"nameservers": "ns3:9876,ns4:9876", "topics": "a:transaction:skip:exactly_once,b:transaction:block:exactly_once",
		"group": "GID_shop", "instance": "pod-7.shop", "connections": "3", "batch.rows": "100", "batch.bytes": "1MiB",
		"batch.in_flight": "8", "send.messages": "16", "send.bytes": "512KiB", "poll.busy": "1ms", "poll.idle": "1s", "window": "20s", "append_margin": "6s",
		"send_timeout": "7s", "commit_timeout": "2s", "lease.duration": "20s", "lease.renew": "2s", "retention": "3d",
		"retry.initial": "2s", "retry.factor": "2", "retry.jitter": "0.5", "retry.max": "5m", "http.listen": "127.0.0.1:8080",
		"limits.profile": "apsaramq-5", "compression.above": "64KiB", "compression.level": "9",
		"http.pprof": "true", "log.level": "debug", "log.format": "text", "shutdown.grace": "40s",
		"namespace": "nsA", "producers": "2", "access_channel": "cloud", "trace.enabled": "true", "trace.topic": "traces", "log.sends": "true",
		"tls.enabled": "true", "tls.nameservers": "false",
	}
}

func TestEverySettingByFileEnvironmentAndFlag(t *testing.T) {
	t.Parallel()
	for _, s := range Settings() {
		if alternatives()[s.Key][0] == "" {
			continue // It has tests of its own.
		}
		t.Run(s.Key, func(t *testing.T) {
			t.Parallel()
			value, ok := others()[s.Key]
			require.True(t, ok, "give the setting a value in others()")
			require.NotEqual(t, s.Default, value)
			ways := map[string]Input{
				"relay.yaml":         input(t, fmt.Sprintf("%s: %q", s.Key, value), nil),
				"env " + s.Env():     input(t, "", []string{s.Env() + "=" + value}),
				"flag --" + s.Flag(): input(t, "", nil, "--"+s.Flag(), value),
			}
			for source, in := range ways {
				c, err := Load(in, NeedNothing)
				require.NoError(t, err, source)
				for _, o := range c.Origins() {
					if o.Key == s.Key {
						require.Equal(t, value, o.Value, source)
						require.Contains(t, o.Source, source)
					} else {
						require.Contains(t, []string{"default", "not set"}, o.Source, o.Key)
					}
				}
			}
		})
	}
}

func TestPrecedence(t *testing.T) {
	t.Parallel()
	file := "window: 11s\nbatch: {rows: 11}\nretention: 11h\n"
	environ := []string{"OUTBOX_RELAY_WINDOW=12s", "OUTBOX_RELAY_BATCH_ROWS=12", "OUTBOX_RELAY_GROUP="}
	c, err := Load(input(t, file, environ, "--window=13s"), NeedNothing)
	require.NoError(t, err)
	require.Equal(t, 13*time.Second, c.Window, "the flag wins")
	require.Equal(t, 12, c.Batch.Rows, "the variable wins over the file")
	require.Equal(t, 11*time.Hour, c.Retention, "the file wins over the default")
	require.Equal(t, "outbox-relay", c.Group, "an empty variable is not set")

	sources := map[string]string{}
	for _, o := range c.Origins() {
		sources[o.Key] = o.Source
	}
	require.Equal(t, "flag --window", sources["window"])
	require.Equal(t, "env OUTBOX_RELAY_BATCH_ROWS", sources["batch.rows"])
	require.Regexp(t, `relay\.yaml:3$`, sources["retention"])
	require.Equal(t, "default", sources["group"])
}

func TestEveryMistakeAtOnce(t *testing.T) {
	t.Parallel()
	file := `# every line has a mistake
database: {schema: pg_mine}
nameservers: [ns1, "https://ns2:9876", ns3:9876]
topics:
  - orders
  - {name: payments, type: fifo, mode: async}
  - {name: mails, tipe: transaction, on_dead: drop}
  - orders
  - "a topic"
  - {name: bulk, type: normal, delivery: exactly_once}
window: 2500ms
windw: 10s
batch:
  rows: 9999
  bytes: lots
  in_flght: 3
lease:
  duration: 9s
  renew: 4s
retry: 5
tls:
  ca: /etc/ca.pem
access_key: AKIA
retention:
`
	environ := []string{
		"OUTBOX_RELAY_LOG_LEVEL=loud", "OUTBOX_RELAY_COMMIT_TIMEOUT=3s", "OUTBOX_RELAY_BATCH_ROW=1", "OUTBOX_RELAY_NAMESPACE=MQ_INST_1%",
	}
	got := mistakes(t, input(t, file, environ, "--group=DEFAULT_PRODUCER", "--connections", "9", "--poll-busy=soon"), NeedAll)
	want, err := os.ReadFile("testdata/mistakes.golden")
	if updating() {
		require.NoError(t, os.WriteFile("testdata/mistakes.golden", []byte(got+"\n"), 0o600))
	} else {
		require.NoError(t, err)
		require.Equal(t, string(want), got+"\n")
	}
}

func TestSingleMistakes(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		yaml    string
		environ []string
		args    []string
		need    Need
		want    []string
	}{
		"nothing at all": {need: NeedAll, want: []string{
			"3 mistakes", "database.url: is required", "OUTBOX_RELAY_DATABASE_URL_FILE", "nameservers: is required", "topics: is required: set topics",
		}},
		"only the database": {need: NeedDatabase, want: []string{"1 mistake in", "database.url: is required"}},
		"empty lists":       {need: NeedAll, yaml: "database: {url: postgres://h/d}\nnameservers: []\ntopics: ' ,'", want: []string{"2 mistakes", "relay.yaml:2: nameservers: is required", "relay.yaml:3: topics: is required"}},
		"not YAML":          {yaml: "window: [", want: []string{"relay.yaml: must be YAML"}},
		"a list":            {yaml: "- window", want: []string{"relay.yaml: must be YAML"}},
		"twice":             {yaml: "window: 10s\nwindow: 11s", want: []string{`relay.yaml: must be YAML`, `"window" already defined at line 1`}},
		"two documents":     {yaml: "window: 10s\n---\nwindow: 11s", want: []string{"more than one document"}},
		"no such file":      {environ: []string{"OUTBOX_RELAY_CONFIG=/nonexistent.yaml"}, want: []string{`env OUTBOX_RELAY_CONFIG: "/nonexistent.yaml": must name a readable file: no such file`}},
		"map for a value":   {yaml: "window: {seconds: 10}", want: []string{"relay.yaml:1: window: must be a duration"}},
		"map for a list":    {yaml: "topics: {orders: transaction}", want: []string{"relay.yaml:1: topics: must be a list"}},
		"list for a value":  {yaml: "window: [10s]", want: []string{"window: must be a duration"}},
		"no unit":           {yaml: "window: 10", want: []string{`window: "10": must be a duration with its unit`}},
		"not whole":         {yaml: "window: 1500ms", want: []string{`window: "1500ms": must be whole seconds`}},
		"window too long":   {yaml: "window: 450s", want: []string{`must be 1s to 7m29s`}},
		"not a number":      {yaml: "retry: {jitter: .nan}", want: []string{"retry.jitter: \"NaN\": must be a number"}},
		"broken number":     {yaml: "connections: 1.5", want: []string{`connections: "1.5": must be a whole number`}},
		"listen":            {args: []string{"--http-listen=9090"}, want: []string{`flag --http-listen: http.listen: "9090": must be [host]:port`}},
		"listen port":       {args: []string{"--http-listen=:99999"}, want: []string{`http.listen: ":99999"`}},
		"name server port":  {args: []string{"--nameservers=a:1,b:0"}, want: []string{`nameservers[1]: "b:0": must be host:port with a port from 1`}},
		"topic word":        {args: []string{"--topics=a:trx"}, want: []string{`topics[0]: "a:trx": "trx" is none of`}},
		"topic list":        {yaml: "topics: [[a]]", want: []string{"topics[0]: must be a name or an object"}},
		"topic value":       {yaml: "topics: [{name: [a]}]", want: []string{"topics[0].name: must be text", "topics[0].name: must not be empty"}},
		"system topic":      {args: []string{"--topics=%RETRY%x,rmq_sys_y,TBW102"}, want: []string{"3 mistakes", `topics[2].name: "TBW102": is reserved by RocketMQ`}},
		"too long":          {args: []string{"--topics=" + strings.Repeat("x", 128)}, want: []string{"must be at most 127 bytes long"}},
		"jumping busy":      {args: []string{"--poll-busy=1s"}, want: []string{`flag --poll-busy: poll.busy: "1s": poll.busy (1s, flag --poll-busy) must be at most poll.idle (100ms, default)`}},
		"short window":      {args: []string{"--send-timeout=9s"}, want: []string{`send_timeout: "9s": window (10s, default) must be at least the sum of send_timeout (9s, flag --send-timeout) and commit_timeout (2.5s, default)`}},
		"retry":             {args: []string{"--retry-max=500ms"}, want: []string{`retry.initial (1s, default) must be at most retry.max (500ms`}},
		"unknown variable":  {environ: []string{"OUTBOX_RELAY_DATABASE_URI=postgres://u:hunter2@h/d"}, want: []string{"env OUTBOX_RELAY_DATABASE_URI: is unknown; did you mean OUTBOX_RELAY_DATABASE_URL?"}},
		"nothing like it":   {yaml: "completely_different: 1", want: []string{"relay.yaml:1: completely_different: is unknown"}},
		"secret key":        {environ: []string{"OUTBOX_RELAY_SECRET_KEY=hunter2"}, want: []string{"env OUTBOX_RELAY_SECRET_KEY: is unknown: the setting is credentials.secret_key"}},
		"bad url":           {environ: []string{"OUTBOX_RELAY_DATABASE_URL=postgres://u:hunter2@h:port/d"}, want: []string{"env OUTBOX_RELAY_DATABASE_URL: database.url: (secret, not shown): must be a PostgreSQL URL"}},
		"unescaped url":     {yaml: `database: {url: "postgres://u:1/hunter2@h/d"}`, want: []string{"database.url: (secret, not shown): must be", "percent-encoded"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := mistakes(t, input(t, test.yaml, test.environ, test.args...), max(test.need, NeedNothing))
			for _, want := range test.want {
				require.Contains(t, got, want)
			}
			require.NotContains(t, got, "hunter2")
		})
	}
}

func TestEmptySectionsAndFiles(t *testing.T) {
	t.Parallel()
	for _, yaml := range []string{"# nothing\n", "batch:\n  # rows: 3\nretry: {}\n"} {
		_, err := Load(input(t, yaml, nil), NeedNothing)
		require.NoError(t, err)
	}
}

func TestVariablesOfAKubernetesServiceAreNoMistake(t *testing.T) {
	t.Parallel()
	_, err := Load(Input{Environ: []string{
		"OUTBOX_RELAY_SERVICE_HOST=10.0.0.1", "OUTBOX_RELAY_SERVICE_PORT=9090", "OUTBOX_RELAY_SERVICE_PORT_METRICS=9090",
		"OUTBOX_RELAY_PORT=tcp://10.0.0.1:9090", "OUTBOX_RELAY_PORT_9090_TCP=tcp://10.0.0.1:9090",
		"OUTBOX_RELAY_PORT_9090_TCP_ADDR=10.0.0.1", "OUTBOX_RELAY_PORT_9090_TCP_PROTO=tcp",
	}}, NeedNothing)
	require.NoError(t, err)
	for _, s := range Settings() {
		require.False(t, madeByKubernetes(s.Env()), "a Service would set %s", s.Env())
	}
}

func TestRepeatedListFlags(t *testing.T) {
	t.Parallel()
	c, err := Load(input(t, "", nil, "--topics=a", "--topics=b:skip", "--nameservers=x:1;y:2", "--nameservers=z:3"), NeedNothing)
	require.NoError(t, err)
	require.Len(t, c.Topics, 2)
	require.Equal(t, "skip", c.Topics[1].OnDead)
	require.Equal(t, []string{"x:1", "y:2", "z:3"}, c.NameServers)
}

func TestListenOff(t *testing.T) {
	t.Parallel()
	for _, in := range []Input{
		input(t, "http: {listen: off}", nil), input(t, `http: {listen: ""}`, nil),
		input(t, "", []string{"OUTBOX_RELAY_HTTP_LISTEN=off"}), input(t, "", nil, "--http-listen="),
	} {
		c, err := Load(in, NeedNothing)
		require.NoError(t, err)
		require.Empty(t, c.HTTP.Listen)
	}
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	c, err := Load(input(t, "", []string{"ROCKETMQ_ACCESS_KEY=AKIA", "ALIBABA_CLOUD_ACCESS_KEY_SECRET=hunter2"},
		"--send-timeout=20s", "--window=30s", "--shutdown-grace=5s", "--nameservers=10.0.0.1:9876,127.0.0.1:9876"), NeedNothing)
	require.NoError(t, err)
	text := strings.Join(c.Warnings(), "\n")
	require.Len(t, c.Warnings(), 5, text)
	for _, want := range []string{"send_timeout is 20s", "shutdown.grace is 5s", "10.0.0.1:9876 is an address", "ROCKETMQ_ACCESS_KEY is set", "ALIBABA_CLOUD_ACCESS_KEY_SECRET is set, but no credentials are"} {
		require.Contains(t, text, want)
	}
	require.NotContains(t, text, "hunter2")
}

func TestNamesDoNotCollide(t *testing.T) {
	t.Parallel()
	seen := map[string]string{"OUTBOX_RELAY_CONFIG": "--config", "config": "--config", "help": "--help"}
	for _, s := range Settings() {
		require.Regexp(t, `^[a-z]+(_[a-z]+)*(\.[a-z]+(_[a-z]+)*)?$`, s.Key)
		for _, name := range []string{s.Env(), s.Flag()} {
			require.Empty(t, seen[name], "%s and %s are both %s", s.Key, seen[name], name)
			seen[name] = s.Key
		}
		require.Empty(t, unsupported(s.Key))
		require.NotEmpty(t, s.Doc)
		require.True(t, strings.HasSuffix(s.Doc, "."), s.Key)
	}
}
