package stack

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/child/childtest"
)

func TestJavaVersion(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"openjdk version \"25.0.1\" 2026-01-20": 25, "openjdk version \"17.0.17\"": 17, "java version \"1.8.0_402\"": 1, "Usage": 0,
	} {
		require.Equal(t, want, javaVersion(text), text)
	}
}

func TestJava21IsFoundWhereItIsSaidToBe(t *testing.T) {
	home := t.TempDir()
	t.Setenv("OUTBOX_BENCH_JAVA", home)
	java := filepath.Join(home, "bin", "java")
	require.NoError(t, os.Mkdir(filepath.Dir(java), 0o755))
	for version, found := range map[string]bool{"17.0.1": false, "21.0.2": true} {
		childtest.Script(t, java, "echo 'openjdk version \""+version+"\"' >&2")
		require.Equal(t, found, findJava21(t.Context()) == java, version)
	}
}
