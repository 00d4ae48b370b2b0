package config

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// bounds are, for each setting, values that just keep to its rule and values that just break it.
func bounds() map[string]struct{ good, bad []string } {
	type both = struct{ good, bad []string }
	return map[string]both{
		"database.url": {
			good: []string{"postgres://h/d", "postgresql://u:p@h:1/d?sslmode=disable", "host=h dbname=d", "postgres:///d?host=/var/run/postgresql"},
			bad:  []string{"mysql://h/d", "h:5432", "postgres://h:x/d", "postgres://h/d?sslmode=maybe", "postgres://h/d?sslrootcert=/nonexistent"},
		},
		"database.schema": {
			good: []string{"public", "the outbox", `"`, strings.Repeat("x", 63)},
			bad:  []string{"pg_mine", strings.Repeat("x", 64), "a\x00b"},
		},
		"nameservers": {
			good: []string{"ns:9876", "http://ns:9876", "http://ns:9876/", "10.0.0.1:1;[::1]:65535", "http://MQ_INST_1.mq.aliyuncs.com:80"},
			bad:  []string{"ns", "ns:", ":9876", "ns:0", "ns:65536", "ns:http", "https://ns:9876", "http://user@ns:9876", "ns:9876/path", "ns 1:9876"},
		},
		"topics": {
			good: []string{"orders", "orders:transaction", "a:skip,b:block:exactly_once;c", "a:normal", "a:normal:oneway:skip", "a:fifo", "a:delay", "a:at_least_once", "%x|y_z-0", strings.Repeat("x", 127)},
			bad: []string{
				"a:async", "a:fifo:sync", "a:delay:exactly_once", "a:", "a:Skip", "a,a", ":skip", "a topic", "ä", "TBW102", "%DLQ%a",
				strings.Repeat("x", 128),
			},
		},
		"group": {
			good: []string{"g", "GID_shop", "%a|b", strings.Repeat("g", 120)},
			bad:  []string{"a group", "gruppe.ü", strings.Repeat("g", 121), "DEFAULT_PRODUCER", "CLIENT_INNER_PRODUCER", "CID_RMQ_SYS_X"},
		},
		"instance":        {good: []string{"pod-7.shop_a", strings.Repeat("i", 100)}, bad: []string{"a b", "a@b", "a#b", "DEFAULT", strings.Repeat("i", 101)}},
		"connections":     {good: []string{"1", "5"}, bad: []string{"0", "6", "-1", "two", "1.0"}},
		"batch.rows":      {good: []string{"1", "4096"}, bad: []string{"0", "4097"}},
		"batch.bytes":     {good: []string{"64KiB", "65536", "256MiB"}, bad: []string{"65535", "257MiB", "-1", "8 elephants"}},
		"batch.in_flight": {good: []string{"1", "64"}, bad: []string{"0", "65"}},
		"send.messages":   {good: []string{"1", "4096"}, bad: []string{"0", "4097"}},
		"send.bytes":      {good: []string{"1", "4MiB"}, bad: []string{"0", "5MiB"}},
		"poll.busy":       {good: []string{"100us", "50ms"}, bad: []string{"99us", "1001ms", "0"}},
		"poll.idle":       {good: []string{"2ms", "1m"}, bad: []string{"999us", "61s"}},
		"window":          {good: []string{"9s", "449s"}, bad: []string{"450s", "0s", "10500ms", "10"}},
		"append_margin":   {good: []string{"1s", "10m"}, bad: []string{"999ms", "11m"}},
		"send_timeout":    {good: []string{"1s", "7500ms"}, bad: []string{"999ms", "61s"}},
		"commit_timeout":  {good: []string{"100ms", "2900ms"}, bad: []string{"99ms", "3s"}},
		"lease.duration":  {good: []string{"9s", "5m"}, bad: []string{"999ms", "301s"}},
		"lease.renew":     {good: []string{"100ms", "3333ms"}, bad: []string{"99ms", "101s"}},
		"retention":       {good: []string{"1m", "3650d"}, bad: []string{"59s", "3651d"}},
		"retry.initial":   {good: []string{"10ms", "120s"}, bad: []string{"9ms", "61m"}},
		"retry.factor":    {good: []string{"1", "10", "1.01"}, bad: []string{"0.99", "10.1", "NaN", "Inf"}},
		"retry.jitter":    {good: []string{"0", "1"}, bad: []string{"-0.1", "1.1"}},
		"retry.max":       {good: []string{"1s", "24h"}, bad: []string{"9ms", "25h"}},
		"http.listen":     {good: []string{":0", ":65535", "127.0.0.1:9090", "[::1]:9090", "localhost:1", "off"}, bad: []string{"9090", ":65536", ":x", "http://h:1"}},
		"http.pprof":      {good: []string{"true", "false"}, bad: []string{"yes", "2", ""}},
		"log.level":       {good: []string{"debug", "INFO", "warn", "error"}, bad: []string{"loud", "5"}},
		"log.format":      {good: []string{"json", "text"}, bad: []string{"xml", "JSON"}},
		"shutdown.grace":  {good: []string{"1s", "10m"}, bad: []string{"999ms", "11m"}},

		"namespace":         {good: []string{"MQ_INST_1_B", "nsA", strings.Repeat("n", 64)}, bad: []string{"a%b", "nsA%", "a b", strings.Repeat("n", 65)}},
		"producers":         {good: []string{"1", "5"}, bad: []string{"0", "6"}},
		"access_channel":    {good: []string{"local", "cloud"}, bad: []string{"CLOUD", "public"}},
		"trace.enabled":     {good: []string{"true", "false", "1"}, bad: []string{"yes", "2"}},
		"trace.topic":       {good: []string{"RMQ_SYS_TRACE_TOPIC", "my-traces"}, bad: []string{"a topic", "TBW102"}},
		"log.sends":         {good: []string{"true", "false"}, bad: []string{"debug"}},
		"limits.profile":    {good: []string{"apache-4.9", "apache-5", "apsaramq-4", "apsaramq-5"}, bad: []string{"apache", "apache-6"}},
		"compression.above": {good: []string{"0", "1KiB", "4MiB"}, bad: []string{"1", "1023", "5MiB", "-1"}},
		"compression.level": {good: []string{"1", "9"}, bad: []string{"0", "10"}},
		"tls.enabled":       {good: []string{"true", "false", "1"}, bad: []string{"yes please", "on"}},
		"tls.nameservers":   {good: []string{"true", "false"}, bad: []string{"maybe", "2"}},
	}
}

func TestEverySettingAtItsLimits(t *testing.T) {
	t.Parallel()
	for _, s := range Settings() {
		if alternatives()[s.Key][0] == "" {
			continue // It has tests of its own.
		}
		t.Run(s.Key, func(t *testing.T) {
			t.Parallel()
			b, ok := bounds()[s.Key]
			require.True(t, ok, "give the setting values in bounds()")
			for _, value := range b.good {
				_, err := Load(input(t, "", nil, "--"+s.Flag()+"="+value), NeedNothing)
				require.NoError(t, err, value)
			}
			for _, value := range b.bad {
				_, err := Load(input(t, "", nil, "--"+s.Flag()+"="+value), NeedNothing)
				var ms Mistakes
				require.ErrorAs(t, err, &ms, value)
				require.Equal(t, "flag --"+s.Flag(), ms[0].Source)
				require.True(t, strings.HasPrefix(ms[0].Key, s.Key), "%s is blamed for %q", ms[0].Key, value)
				require.NotEmpty(t, ms[0].Rule)
			}
		})
	}
}

// What keeps to the rules of single settings can break a rule about several; then each of them is named with its source.
func TestRelations(t *testing.T) {
	t.Parallel()
	for _, r := range relations() {
		require.Equal(t, len(r.keys), strings.Count(r.text, "%s"), r.text)
		for _, key := range r.keys {
			_, found := (&loader{settings: Settings()}).setting(key)
			require.True(t, found, key)
		}
	}
	for args, good := range map[string]bool{
		"--lease-duration=9s --lease-renew=3s":                             true,
		"--lease-duration=9s --lease-renew=3001ms":                         false,
		"--poll-busy=20ms --poll-idle=20ms":                                true,
		"--poll-busy=21ms --poll-idle=20ms":                                false,
		"--retry-initial=5s --retry-max=5s":                                true,
		"--retry-initial=6s --retry-max=5s":                                false,
		"--window=4s --send-timeout=2s --commit-timeout=2s":                true,
		"--window=4s --send-timeout=2s --commit-timeout=2001ms":            false,
		"--window=4s --send-timeout=2001ms --commit-timeout=2s":            false,
		"--window=3s --send-timeout=1s --commit-timeout=1s --poll-busy=0s": false, // another mistake
	} {
		_, err := Load(input(t, "", nil, strings.Fields(args)...), NeedNothing)
		if good {
			require.NoError(t, err, args)
			continue
		}
		var ms Mistakes
		require.ErrorAs(t, err, &ms, args)
		require.Len(t, ms, 1, args)
	}
}

func TestRelationOfABrokenSettingIsNotReported(t *testing.T) {
	t.Parallel()
	got := mistakes(t, input(t, "", nil, "--lease-duration=soon", "--lease-renew=50s"), NeedNothing)
	require.Contains(t, got, "1 mistake in the settings")
	require.Contains(t, got, "lease.duration: \"soon\"")
}
