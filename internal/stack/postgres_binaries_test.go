package stack

import (
	"archive/tar"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/child/childtest"
)

func TestPublishedPostgresRuns(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("mvn"); err != nil {
		t.Skip("Maven, which fetches the published PostgreSQL, is not installed")
	}
	p := newPostgres(t, Options{Engine: EngineNative, PostgresVersion: DefaultPostgresVersion})
	version, err := query(t, p, "SHOW server_version")
	require.NoError(t, err)
	require.Equal(t, "17.11", version)
}

func TestVersionThatIsNotPublished(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("mvn"); err != nil {
		t.Skip("Maven is not installed")
	}
	_, err := StartPostgres(t.Context(), Options{Engine: EngineNative, PostgresVersion: "3.1.4"})
	require.ErrorContains(t, err, "through Maven")
	require.ErrorContains(t, err, "3.1.4")
}

func TestMajorVersions(t *testing.T) {
	t.Parallel()
	for output, want := range map[string]int{
		"postgres (PostgreSQL) 15.12 (Debian 15.12-0+deb12u2)": 15,
		"postgres (PostgreSQL) 18beta1":                        18,
		"postgres (PostgreSQL) 9.6.24":                         9,
		"something else":                                       0,
	} {
		program := filepath.Join(t.TempDir(), "postgres")
		childtest.Script(t, program, "echo '"+output+"'")
		require.Equal(t, want, postgresMajor(program), output)
	}
}

func TestUnpackingStaysInsideItsFolder(t *testing.T) {
	t.Parallel()
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, entry := range []tar.Header{
		{Name: "bin", Typeflag: tar.TypeDir, Mode: 0o700},
		{Name: "./bin/postgres", Typeflag: tar.TypeReg, Mode: 0o700, Size: 1},
		{Name: "lib/libpq.so", Typeflag: tar.TypeSymlink, Linkname: "libpq.so.5"},
		{Name: "../outside", Typeflag: tar.TypeReg, Mode: 0o600, Size: 1},
	} {
		if entry.Typeflag == tar.TypeSymlink {
			require.NoError(t, w.WriteHeader(&tar.Header{Name: "lib", Typeflag: tar.TypeDir}))
		}
		require.NoError(t, w.WriteHeader(&entry))
		if entry.Size > 0 {
			_, err := w.Write([]byte("x"))
			require.NoError(t, err)
		}
	}
	require.NoError(t, w.Close())
	parent := t.TempDir()
	dir := filepath.Join(parent, "dir")
	require.NoError(t, os.Mkdir(dir, 0o755))
	require.Error(t, untar(tar.NewReader(&archive), dir))
	info, err := os.Stat(filepath.Join(dir, "bin", "postgres"))
	require.NoError(t, err)
	require.EqualValues(t, 0o755, info.Mode().Perm(), "another user runs it")
	target, err := os.Readlink(filepath.Join(dir, "lib", "libpq.so"))
	require.NoError(t, err)
	require.Equal(t, "libpq.so.5", target)
	require.NoFileExists(t, filepath.Join(parent, "outside"))
}
