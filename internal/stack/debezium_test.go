package stack

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
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
	executable(t, filepath.Join(home, "bin", "java"))
	require.NotEqual(t, filepath.Join(home, "bin", "java"), findJava21(t.Context()), "this one does not say that it is new")
}
