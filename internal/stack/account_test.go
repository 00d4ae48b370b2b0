package stack

import (
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFoldersMustBePassableForPostgres(t *testing.T) {
	t.Parallel()
	other := &user.User{Uid: "65531", Gid: "65531", Username: "somebody"}
	me := &user.User{Uid: strconv.Itoa(os.Getuid()), Gid: strconv.Itoa(os.Getgid()), Username: "me"}
	top := passableDir(t)
	inner := filepath.Join(top, "closed", "inner")
	require.NoError(t, os.MkdirAll(inner, 0o755))
	require.NoError(t, checkPassable(inner, other))
	require.NoError(t, checkPassable(filepath.Join(inner, "to be made"), other))

	require.NoError(t, os.Chmod(filepath.Dir(inner), 0o700))
	err := checkPassable(inner, other)
	require.ErrorContains(t, err, "somebody")
	require.ErrorContains(t, err, filepath.Dir(inner)+":", "the folder that is closed, not the one below")
	require.ErrorContains(t, err, "TMPDIR")
	require.NoError(t, checkPassable(inner, me), "the owner's bit counts for the owner")
}

func TestServerAccountIsUnprivileged(t *testing.T) {
	t.Parallel()
	account, err := serverAccount()
	require.NoError(t, err)
	if os.Geteuid() != 0 {
		require.Nil(t, account, "whoever is not root runs it himself")
		return
	}
	require.NotEqual(t, "0", account.Uid)
}
