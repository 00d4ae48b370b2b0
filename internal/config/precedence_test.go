package config

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// alternatives holds three values for every setting, as shown: none is the default, and each keeps to all rules.
func alternatives() map[string][3]string {
	return map[string][3]string{
		"database.url":      {"postgres://a@h:5432/d", "postgres://b@h:5432/d", "postgres://c@h:5432/d"},
		"database.url_file": {}, // TestPrecedenceOfSecretFiles
		"database.schema":   {"one", "two", "the third"},
		"nameservers":       {"a:1", "b:2,c:3", "[::1]:4"},
		"topics":            {"a:transaction:block:exactly_once", "b:transaction:skip:exactly_once", "c:transaction:block:exactly_once,d:transaction:skip:exactly_once"},
		"group":             {"one", "GID_two", "%three|3"},
		"instance":          {"one", "two.2", "three-3"},
		"connections":       {"2", "3", "4"},
		"batch.rows":        {"1", "2", "4096"},
		"batch.bytes":       {"64KiB", "65537", "256MiB"},
		"batch.in_flight":   {"1", "2", "64"},
		"send.messages":     {"1", "2", "4096"},
		"send.bytes":        {"1", "65537", "4MiB"},
		"poll.busy":         {"100µs", "1ms", "50ms"},
		"poll.idle":         {"2ms", "1s", "1m"},
		"window":            {"9s", "11s", "7m29s"},
		"append_margin":     {"1s", "4s", "10m"},
		"send_timeout":      {"1s", "5s", "7.5s"},
		"commit_timeout":    {"100ms", "1s", "2.9s"},
		"lease.duration":    {"9s", "11s", "5m"},
		"lease.renew":       {"100ms", "1s", "2.5s"},
		"retention":         {"1m", "36h", "30d"},
		"retry.initial":     {"10ms", "2s", "2m"},
		"retry.factor":      {"1", "2.25", "10"},
		"retry.jitter":      {"0", "0.5", "1"},
		"retry.max":         {"1s", "5m", "1d"},
		"limits.profile":    {"apache-4.9", "apsaramq-4", "apsaramq-5"},
		"compression.above": {"1KiB", "64KiB", "1MiB"},
		"compression.level": {"1", "6", "9"},
		"http.listen":       {"off", ":8080", "127.0.0.1:1"},
		"http.pprof":        {"true", "true", "true"}, // there are only two
		"log.level":         {"debug", "warn", "error"},
		"log.format":        {"text", "text", "text"}, // there are only two
		"shutdown.grace":    {"1s", "9s", "10m"},
		"namespace":         {"nsA", "nsB", "MQ_INST_1_B"},
		"producers":         {"2", "3", "5"},
		"access_channel":    {"cloud", "cloud", "cloud"}, // there are only two
		"trace.enabled":     {"true", "true", "true"},
		"trace.topic":       {"one", "two", "three"},
		"log.sends":         {"true", "true", "true"},

		// Those of pairs and of files have tests of their own: TestCredentials…, TestTLS….
		"credentials.access_key": {}, "credentials.secret_key": {}, "credentials.security_token": {},
		"credentials.access_key_file": {}, "credentials.secret_key_file": {}, "credentials.security_token_file": {},
		"tls.ca_file": {}, "tls.cert_file": {}, "tls.key_file": {}, "tls.server_name": {},
		"tls.enabled":     {"true", "true", "true"}, // there are only two
		"tls.nameservers": {"false", "false", "false"},
	}
}

// For every setting, each of the eight ways to give it by some of the three sources: the strongest that was given holds, and
// config check names it.
func TestTheStrongestSourceHoldsForEverySetting(t *testing.T) {
	t.Parallel()
	for _, s := range Settings() {
		values, ok := alternatives()[s.Key]
		require.True(t, ok, "give %s three values in alternatives()", s.Key)
		if values[0] == "" {
			continue
		}
		t.Run(s.Key, func(t *testing.T) {
			t.Parallel()
			for given := range 8 {
				var yaml, want, source string
				var environ, args []string
				want, source = s.Default, "default"
				if s.Default == "" {
					source = "not set"
				}
				if given&1 != 0 {
					yaml, want, source = fmt.Sprintf("%s: %q\n", s.Key, values[0]), values[0], "relay.yaml:1"
				}
				if given&2 != 0 {
					environ, want, source = []string{s.Env() + "=" + values[1]}, values[1], "env "+s.Env()
				}
				if given&4 != 0 {
					args, want, source = []string{"--" + s.Flag() + "=" + values[2]}, values[2], "flag --"+s.Flag()
				}
				c, err := Load(input(t, yaml, environ, args...), NeedNothing)
				require.NoError(t, err)
				o := origin(t, c, s.Key)
				if given != 0 {
					require.Equal(t, want, o.Value, "%03b", given)
					require.Equal(t, source, o.Source[strings.LastIndexByte(o.Source, '/')+1:], "%03b", given)
				} else if s.Key != "instance" { // its default is the host's name
					require.Equal(t, source, o.Source)
				}
			}
		})
	}
}

// origin returns what config check would print of a setting.
func origin(t *testing.T, c *Config, key string) Origin {
	t.Helper()
	for _, o := range c.Origins() {
		if o.Key == key {
			return o
		}
	}
	t.Fatalf("%s is not in the list", key)
	return Origin{}
}

// A mistake in a weaker source that a stronger one overrides is none: an image can hold a file that a deployment corrects.
func TestWeakerMistakesAreOverridden(t *testing.T) {
	t.Parallel()
	for _, s := range Settings() {
		bad := bounds()[s.Key].bad
		good := alternatives()[s.Key][1]
		if good == "" {
			continue
		}
		_, err := Load(input(t, "", []string{s.Env() + "=" + good}), NeedNothing)
		require.NoError(t, err, s.Key)
		_, err = Load(input(t, fmt.Sprintf("%s: %q", s.Key, bad[len(bad)-1]), []string{s.Env() + "=" + good}), NeedNothing)
		require.NoError(t, err, "%s: %q in the file", s.Key, bad[len(bad)-1])
		if strings.ContainsRune(bad[0], 0) {
			continue
		}
		_, err = Load(input(t, "", []string{s.Env() + "=" + bad[0]}, "--"+s.Flag()+"="+good), NeedNothing)
		require.NoError(t, err, "%s: %q in the environment", s.Key, bad[0])
	}
}

// An empty variable is not set, for every setting: it hides neither the file's value nor the default.
func TestEmptyVariablesHideNothing(t *testing.T) {
	t.Parallel()
	var environ []string
	var file strings.Builder
	for _, s := range Settings() {
		environ = append(environ, s.Env()+"=")
		if value := others()[s.Key]; value != "" {
			fmt.Fprintf(&file, "%s: %q\n", s.Key, value)
		}
	}
	environ = append(environ, "OUTBOX_RELAY_CONFIG=", "OUTBOX_RELAY_UNHEARD_OF=")
	c, err := Load(input(t, file.String(), environ), NeedAll)
	require.NoError(t, err)
	for _, o := range c.Origins() {
		if value := others()[o.Key]; value != "" {
			require.Equal(t, value, o.Value)
			require.Contains(t, o.Source, "relay.yaml:")
		}
	}
	c, err = Load(input(t, "", environ), NeedNothing)
	require.NoError(t, err)
	for _, o := range c.Origins() {
		require.Contains(t, []string{"default", "not set"}, o.Source, o.Key)
	}
}

// The values that config check prints can be given back to it, for every setting at once and by every source.
func TestWhatIsShownCanBeGivenAgain(t *testing.T) {
	t.Parallel()
	for at := range 3 {
		var args []string
		for _, s := range Settings() {
			// Values that only fit with their own kind: the limits of one setting would break rules about several.
			if strings.HasPrefix(s.Key, "retry.") || s.Key == "window" || alternatives()[s.Key][0] == "" {
				continue
			}
			args = append(args, "--"+s.Flag()+"="+alternatives()[s.Key][at])
		}
		args = append(args, "--window=30s")
		first, err := Load(input(t, "", nil, args...), NeedAll)
		require.NoError(t, err)
		var environ []string
		for i, o := range first.Origins() {
			if o.Source != "not set" {
				environ = append(environ, Settings()[i].Env()+"="+o.Value)
			}
		}
		second, err := Load(input(t, "", environ), NeedAll)
		require.NoError(t, err)
		for i, o := range first.Origins() {
			require.Equal(t, o.Value, second.Origins()[i].Value, o.Key)
		}
	}
}
