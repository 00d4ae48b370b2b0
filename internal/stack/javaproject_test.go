package stack

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Projects that can be built are those of examples/, in their tests.
func TestBuildJavaSaysWhatIsWrong(t *testing.T) {
	sources := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(sources, "pom.xml"), []byte("<project"), 0o600))
	_, err := BuildJava(t.Context(), sources, t.TempDir())
	var missing *MissingError
	if errors.As(err, &missing) {
		t.Skip(err)
	}
	require.ErrorContains(t, err, "build the Java project "+sources)
	require.ErrorContains(t, err, "pom.xml")

	t.Setenv("PATH", "")
	_, err = BuildJava(t.Context(), sources, t.TempDir())
	require.ErrorAs(t, err, &missing)
	require.Equal(t, []Prerequisite{Maven, JDK}, missing.What, "all at once")
	require.Contains(t, err.Error(), "default-jdk-headless")
}
