package config

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestVariablesThatAreNoSettings(t *testing.T) {
	t.Parallel()
	for variable, want := range map[string]string{
		"OUTBOX_RELAY_WINDWO=1s":                   "env OUTBOX_RELAY_WINDWO: is unknown; did you mean OUTBOX_RELAY_WINDOW?",
		"OUTBOX_RELAY_DATABASE_URL_FIL=/x":         "env OUTBOX_RELAY_DATABASE_URL_FIL: is unknown; did you mean OUTBOX_RELAY_DATABASE_URL_FILE?",
		"OUTBOX_RELAY_NAME_SERVERS=a:1":            "env OUTBOX_RELAY_NAME_SERVERS: is unknown; did you mean OUTBOX_RELAY_NAMESERVERS?",
		"OUTBOX_RELAY_BATCH_INFLIGHT=1":            "env OUTBOX_RELAY_BATCH_INFLIGHT: is unknown; did you mean OUTBOX_RELAY_BATCH_IN_FLIGHT?",
		"OUTBOX_RELAY_window=1s":                   "env OUTBOX_RELAY_window: is unknown",
		"OUTBOX_RELAY_TLS_CA=/x":                   "env OUTBOX_RELAY_TLS_CA: is unknown: the setting is tls.ca_file",
		"OUTBOX_RELAY_ACCESS_KEY=hunter2":          "env OUTBOX_RELAY_ACCESS_KEY: is unknown: the setting is credentials.access_key",
		"OUTBOX_RELAY_SECRET_KEY_FILE=/x":          "env OUTBOX_RELAY_SECRET_KEY_FILE: is unknown: the setting is credentials.secret_key_file",
		"OUTBOX_RELAY_ENTIRELY_UNHEARD_OF=hunter2": "env OUTBOX_RELAY_ENTIRELY_UNHEARD_OF: is unknown",
		// Those of a Service with another name are none of Kubernetes'.
		"OUTBOX_RELAY_METRICS_SERVICE_HOST=10.0.0.1": "env OUTBOX_RELAY_METRICS_SERVICE_HOST: is unknown",
		"OUTBOX_RELAY_PORT_9090_HTTP=x":              "env OUTBOX_RELAY_PORT_9090_HTTP: is unknown",
	} {
		got := mistakes(t, Input{Environ: []string{"PATH=/bin", variable}}, NeedNothing)
		require.True(t, strings.HasPrefix(got, "1 mistake in the settings:\n  "+want), got)
		require.NotContains(t, got, "hunter2")
	}
}

func TestVariablesOfOthersAreNoMistakes(t *testing.T) {
	t.Parallel()
	_, err := Load(Input{Environ: []string{
		"PATH=/bin", "OUTBOX_RELAY=1", "OUTBOX_RELAYS_WINDOW=1s", "OUTBOX_WINDOW=1s", "outbox_relay_windwo=1s", "MY_OUTBOX_RELAY_WINDWO=1s",
		"OUTBOX_RELAY_WINDWO", "", "=", "=C:=C:\\", "OUTBOX_DEMO_RATE=7",
	}}, NeedNothing)
	require.NoError(t, err)
}

func TestMadeByKubernetes(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_METRICS", "SERVICE_PORT_HTTP_2", "PORT", "PORT_9090_TCP", "PORT_53_UDP", "PORT_1_SCTP",
		"PORT_9090_TCP_ADDR", "PORT_9090_TCP_PORT", "PORT_9090_TCP_PROTO",
	} {
		require.True(t, madeByKubernetes("OUTBOX_RELAY_"+name), name)
	}
	for _, name := range []string{
		"", "SERVICE", "SERVICE_HOST_2", "SERVICE_PORT_", "PORTS", "PORT_TCP", "PORT_9090", "PORT_9090_TCP_", "PORT_9090_ICMP", "service_host",
	} {
		require.False(t, madeByKubernetes("OUTBOX_RELAY_"+name), name)
	}
	require.False(t, madeByKubernetes("XOUTBOX_RELAY_PORT"))
	require.False(t, madeByKubernetes("OUTBOX_RELAY_PORT\n"))
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	require.Equal(t, map[string]string{"A": "1", "B": "x=y=z", "C": "", "": "nameless"},
		environment([]string{"A=0", "A=1", "B=x=y=z", "C=", "D", "=nameless"}))
	require.Empty(t, environment(nil))
}

// However many variables are wrong, they are reported in the order of their names: the output can be compared.
func TestMistakesOfVariablesAreSorted(t *testing.T) {
	t.Parallel()
	names := []string{"QZ", "QA", "QM", "QB", "QY", "QC"}
	var environ []string
	for _, name := range names {
		environ = append(environ, "OUTBOX_RELAY_"+name+"=1")
	}
	_, err := Load(Input{Environ: environ}, NeedNothing)
	var ms Mistakes
	require.ErrorAs(t, err, &ms)
	require.Len(t, ms, len(names))
	require.True(t, slices.IsSortedFunc(ms, func(a, b Mistake) int { return strings.Compare(a.Source, b.Source) }), "%v", ms)
}
