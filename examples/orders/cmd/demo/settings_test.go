package main

import (
	"bytes"
	"flag"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func none(string) string { return "" }

func TestSettingsDefaults(t *testing.T) {
	t.Parallel()
	s, err := parseSettings(nil, none, new(bytes.Buffer))
	require.NoError(t, err)
	require.Equal(t, defaultSettings(), s)
	require.Equal(t, 20*time.Second, s.duration)
}

func TestSettingsFlagsWinOverVariables(t *testing.T) {
	t.Parallel()
	env := map[string]string{"OUTBOX_DEMO_RATE": "7", "OUTBOX_DEMO_KILL_AFTER": "1s", "OUTBOX_DEMO_RELAY": "/bin/relay"}
	s, err := parseSettings([]string{"-rate", "9", "-customers=3"}, func(name string) string { return env[name] }, new(bytes.Buffer))
	require.NoError(t, err)
	want := defaultSettings()
	want.rate, want.customers, want.killAfter, want.relay = 9, 3, time.Second, "/bin/relay"
	require.Equal(t, want, s)
}

func TestSettingsReportsEveryMistake(t *testing.T) {
	t.Parallel()
	env := map[string]string{"OUTBOX_DEMO_DRAIN": "soon"}
	_, err := parseSettings([]string{"-rate", "0", "-rollback=1", "-kill-after=20s", "-customers=-1", "now"},
		func(name string) string { return env[name] }, new(bytes.Buffer))
	for _, want := range []string{
		"OUTBOX_DEMO_DRAIN=soon", `unexpected argument "now"`, "-rate must", "-rollback must", "-kill-after must", "-customers must",
	} {
		require.ErrorContains(t, err, want)
	}
}

func TestSettingsHelp(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	_, err := parseSettings([]string{"-help"}, none, &out)
	require.ErrorIs(t, err, flag.ErrHelp)
	require.Contains(t, out.String(), "-kill-after")
}
