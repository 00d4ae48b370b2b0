package config

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReloadableSettingsAreSettings(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, s := range Settings() {
		known[s.Key] = true
	}
	for _, key := range Reloadable() {
		require.True(t, known[key], key)
	}
}

func TestChangedSettings(t *testing.T) {
	t.Parallel()
	load := func(environ ...string) *Config {
		c, err := Load(Input{Environ: append([]string{"OUTBOX_RELAY_NAMESERVERS=a:1"}, environ...)}, NeedAll)
		require.NoError(t, err)
		return c
	}
	was := load("OUTBOX_RELAY_TOPICS=a", "OUTBOX_RELAY_DATABASE_URL=postgres://u:one@h/d")
	require.Empty(t, Changed(was, load("OUTBOX_RELAY_TOPICS=a", "OUTBOX_RELAY_DATABASE_URL=postgres://u:one@h/d")))
	now := load("OUTBOX_RELAY_TOPICS=a,b", "OUTBOX_RELAY_DATABASE_URL=postgres://u:two@h/d", "OUTBOX_RELAY_WINDOW=11s")
	require.Equal(t, []string{"database.url", "topics", "window"}, Changed(was, now), "a password counts, though it is not shown")

	mixed := was.With(now, []string{"topics"})
	require.Equal(t, now.Topics, mixed.Topics)
	require.Equal(t, was.Window, mixed.Window)
	require.Len(t, was.Topics, 1, "what it was made from is as it was")
	require.Equal(t, []string{"database.url", "window"}, Changed(mixed, now))
}
