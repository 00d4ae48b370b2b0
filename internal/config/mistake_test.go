package config

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMistakesAsText(t *testing.T) {
	t.Parallel()
	full := Mistake{Source: "relay.yaml:3", Key: "window", Value: `"1s"`, Rule: "must be more"}
	bare := Mistake{Key: "topics", Rule: "is required"}
	require.Equal(t, `relay.yaml:3: window: "1s": must be more`, full.String())
	require.Equal(t, "topics: is required", bare.String())
	require.EqualError(t, Mistakes{bare}, "1 mistake in the settings:\n  topics: is required")
	require.EqualError(t, Mistakes{full, bare}, "2 mistakes in the settings:\n  "+full.String()+"\n  "+bare.String())
}

func TestValuesInMistakes(t *testing.T) {
	t.Parallel()
	require.Empty(t, show("", false))
	require.Equal(t, `"a\nb"`, show("a\nb", false), "control characters do not reach the terminal")
	require.Equal(t, "(secret, not shown)", show("hunter2", true))
	long := show(strings.Repeat("x", 1000), false)
	require.Less(t, len(long), 150)
	require.True(t, strings.HasSuffix(long, `"…`))
}

func TestUnsupportedSettingsAreNotSettings(t *testing.T) {
	t.Parallel()
	for _, key := range []string{
		"unheard",
	} {
		require.Empty(t, unsupported(key), key)
	}
	for key, is := range map[string]string{
		"tls.ca": "tls.ca_file", "tls": "tls.enabled", "TLS_CA": "tls.ca_file", "access_key": "credentials.access_key", "secret-key": "credentials.secret_key",
		"ACCESS_KEY_FILE": "credentials.access_key_file", "security_token": "credentials.security_token",
	} {
		require.Equal(t, "is unknown: the setting is "+is, unsupported(key), key)
	}
	for _, key := range []string{"tlsx", "window", "names", "tracer", "namespace", "trace.enabled", ""} {
		require.Empty(t, unsupported(key), key)
	}
}
