package stack

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMissingPrerequisitesAreOneSentence cannot run beside others: it empties
// PATH and the cache.
func TestMissingPrerequisitesAreOneSentence(t *testing.T) {
	empty := t.TempDir()
	t.Setenv("PATH", empty)
	t.Setenv("JAVA_HOME", "")
	t.Setenv("XDG_CACHE_HOME", empty)
	t.Setenv("HOME", empty)
	opts := Options{Engine: EngineNative, PostgresVersion: "14.0.0"} // As if none were installed.

	_, err := Start(t.Context(), opts)
	var missing *MissingError
	require.ErrorAs(t, err, &missing)
	require.Equal(t, []Prerequisite{Java, Maven, Database}, missing.What)
	require.NotContains(t, missing.Error(), "\n")
	for _, word := range []string{"Docker", "Java 8", "Maven", "PostgreSQL 14", "apt-get install default-jre-headless"} {
		require.Contains(t, missing.Error(), word)
	}

	// Maven is not missed once the files are there, and PostgreSQL not with Maven.
	executable(t, filepath.Join(empty, "java"))
	require.NoError(t, os.MkdirAll(jarDir(RocketMQVersion()), 0o755))
	require.ErrorContains(t, checkPrerequisites(opts), "or install "+string(Database))
	executable(t, filepath.Join(empty, "mvn"))
	require.NoError(t, checkPrerequisites(opts))
}

func TestUnknownEngineIsRefused(t *testing.T) {
	t.Setenv("OUTBOX_STACK", "podman")
	_, err := Start(t.Context(), Options{})
	require.ErrorContains(t, err, `OUTBOX_STACK is "podman"`)
	require.Equal(t, 1, strings.Count(err.Error(), "podman"), "said once")
}

func executable(t *testing.T, path string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"), 0o755))
}
